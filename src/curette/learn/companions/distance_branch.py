"""Shape from an encoder's levels, and what a decoder makes of it: the two branches of SBC-AL.

The paper (Zhou et al. 2024) draws them in a figure and publishes no code. Wiring that the text leaves open is ours, and told
where it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from curette.learn.companions.contract import levels

_PROBE = {2: 64, 3: 32}
"""Side of the image that a network is looked at with."""

REFINEMENTS = ("attention", "add", "concat", "none")


def look(network: nn.Module, dims: int, channels: int) -> tuple[tuple[int, ...], int]:
    """Channels of the encoder's levels, finest first, and how much shorter than the image the finest one is.

    From one forward pass over a blank image, in evaluation mode: it changes nothing and draws nothing.
    """
    shapes: dict[int, torch.Size] = {}

    def note(number: int) -> object:
        return lambda _module, _inputs, output: shapes.__setitem__(number, output.shape)

    hooks = [
        level.register_forward_hook(note(n))  # type: ignore[arg-type]
        for n, level in enumerate(levels(network))
    ]
    training, side = network.training, _PROBE[dims]
    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(1, channels, *[side] * dims))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return tuple(shapes[n][1] for n in sorted(shapes)), max(1, round(side / shapes[0][2]))


def convolved(dims: int, inside: int, outside: int, kernel: int = 3, *, act: bool = True) -> nn.Sequential:
    """Convolution, batch norm, and ReLU."""
    layers: list[nn.Module] = [
        getattr(nn, f"Conv{dims}d")(inside, outside, kernel, padding=kernel // 2, bias=False),
        getattr(nn, f"BatchNorm{dims}d")(outside),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if act else []))


class DistanceBranch(nn.Module):
    """SFP: cascaded blocks over the levels of an encoder, from deep to fine, and a distance map a class.

    A block is two 3×3 convolutions with batch norm and ReLU, as wide as its level; it is given its level's features and
    what the block below made, enlarged to their size. The first of `blocks` blocks is given the features of the level below,
    where the network has one more level than there are blocks: the four blocks of the paper and a U-Net with four levels
    and a bottom. A 1×1 convolution makes the maps, which are enlarged where the finest level is smaller than the image.

    widths   channels of the levels, finest first
    stride   how much shorter than the image the finest level is
    """

    def __init__(self, dims: int, widths: Sequence[int], classes: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.count = min(blocks, len(widths))
        own = list(widths[: self.count])
        below = [*own[1:], *widths[self.count : self.count + 1]]
        self.blocks = nn.ModuleList(
            nn.Sequential(convolved(dims, width + deeper, width), convolved(dims, width, width))
            for width, deeper in zip_longest(own, below, fillvalue=0)
        )
        self.maps = getattr(nn, f"Conv{dims}d")(own[0], classes, kernel_size=1)

    def forward(self, found: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Maps [B, C, *S], which may be below 0, from levels [B, d, *s], finest first, for images of `size` *S."""
        x = found[self.count] if len(found) > self.count else None
        for block, level in zip(reversed(self.blocks), reversed(found[: self.count]), strict=True):
            x = block(level if x is None else torch.cat((enlarged(x, level.shape[2:]), level), dim=1))
        maps: Tensor = self.maps(x)
        full = [max(n * self.stride, s) for n, s in zip(maps.shape[2:], size, strict=True)]
        maps = enlarged(maps, full)
        for axis, length in enumerate(size, start=2):  # networks pad images at their end
            maps = maps.narrow(axis, 0, length)
        return maps


class Refinement(nn.Module):
    """ASR: the features that the network's head was given, changed by the distance maps, for a head of its own.

    ``attention`` multiplies them by 1 + A, A from the softmax over classes of the sum of two parallel convolutions of the
    maps (3×3 and 1×1, each with batch norm), brought to the features' width by a 1×1 convolution. ``add`` adds what a 1×1
    convolution makes of the maps, ``concat`` appends the maps. A 3×3 convolution with batch norm and ReLU follows in all.
    """

    def __init__(self, dims: int, classes: int, width: int, how: str) -> None:
        super().__init__()
        self.how = how
        if how == "attention":
            self.wide = convolved(dims, classes, classes, act=False)
            self.narrow = convolved(dims, classes, classes, kernel=1, act=False)
        if how in ("attention", "add"):
            self.guide = getattr(nn, f"Conv{dims}d")(classes, width, kernel_size=1)
        self.merge = convolved(dims, width + classes if how == "concat" else width, width)

    def forward(self, features: Tensor, distances: Tensor) -> Tensor:
        if self.how == "concat":
            features = torch.cat((features, distances.to(features.dtype)), dim=1)
        elif self.how == "add":
            features = features + self.guide(distances)
        else:
            attention = (self.wide(distances) + self.narrow(distances)).softmax(1)
            features = features * (1 + self.guide(attention))
        refined: Tensor = self.merge(features)
        return refined


def at_least_0(maps: Tensor) -> Tensor:
    """Distances, from maps that are regressed without a bound: a map that is 0 everywhere could not be trained any more."""
    return relu(maps)


def enlarged(x: Tensor, size: Sequence[int]) -> Tensor:
    """Linear interpolation to `size`."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return interpolate(x, tuple(size), mode="bilinear" if x.ndim == 4 else "trilinear", align_corners=False)
