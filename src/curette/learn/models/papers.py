"""U-Nets as papers on active learning describe them, with dropout where theirs is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, max_pool3d, pad

from curette.errors import SettingError
from curette.learn.models.fit import Fitted
from curette.registry import register
from curette.task import Task


@dataclass(frozen=True)
class Style:
    """What tells one plain U-Net from another.

    norm, act   of each of the two 3×3 convolutions a level, in MONAI's words
    late        the first of the two keeps the number of channels on the way down; the first level starts with half
    transposed  a transposed 2×2 convolution enlarges; else linear interpolation does
    pool        dropout after each pooling
    join        after each concatenation
    centre      after the deepest level
    end         before the head
    """

    norm: str
    act: str
    late: bool = False
    transposed: bool = True
    pool: float = 0.0
    join: float = 0.0
    centre: float = 0.0
    end: float = 0.0


class PlainUNet(nn.Module):
    """Two convolutions a level, max-pooling, concatenation, 1×1 head, for images of at least 2^(levels - 1) a side.

    Where a length is odd, the enlarged features are padded with zeros at the end. Convolutions that a norm follows have
    no bias, which it would subtract at once.
    """

    def __init__(self, dims: int, channels: int, classes: int, widths: tuple[int, ...], style: Style) -> None:
        super().__init__()
        self.dims, self.style = dims, style
        firsts = (widths[0] // 2, *widths[:-1]) if style.late else widths
        downs = [
            self._level(a, first, b)
            for a, first, b in zip((channels, *widths[:-1]), firsts, widths, strict=True)
        ]
        self.encoder, self.deepest = nn.ModuleList(downs[:-1]), downs[-1]
        self.pools = nn.ModuleList(nn.Dropout(style.pool) for _ in widths[1:])
        self.centre = nn.Dropout(style.centre)
        steps = list(reversed(list(pairwise(widths))))
        self.ups = nn.ModuleList(self._enlarge(deep) for _, deep in steps)
        self.joins = nn.ModuleList(nn.Dropout(style.join) for _ in steps)
        self.decoder = nn.ModuleList(self._level(a + b, a, a) for a, b in steps)
        self.end = nn.Dropout(style.end)
        self.head = getattr(nn, f"Conv{dims}d")(widths[0], classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        shrink: Any = max_pool2d if self.dims == 2 else max_pool3d
        levels = []
        for level, drop in zip(self.encoder, self.pools, strict=True):
            x = level(x)
            levels.append(x)
            x = drop(shrink(x, 2))
        x = self.centre(self.deepest(x))
        for enlarge, drop, level in zip(self.ups, self.joins, self.decoder, strict=True):
            across = levels.pop()
            x = level(drop(torch.cat((_reach(enlarge(x), across), across), dim=1)))
        return self.head(self.end(x))  # type: ignore[no-any-return]

    def _level(self, inside: int, middle: int, outside: int) -> nn.Sequential:
        return nn.Sequential(
            *(
                Convolution(
                    self.dims, a, b, adn_ordering="NA", act=self.style.act, norm=self.style.norm, bias=False
                )
                for a, b in pairwise((inside, middle, outside))
            )
        )

    def _enlarge(self, width: int) -> nn.Module:
        if self.style.transposed:
            return getattr(nn, f"ConvTranspose{self.dims}d")(width, width, kernel_size=2, stride=2)  # type: ignore[no-any-return]
        return Doubled()


class Doubled(nn.Module):
    """Linear interpolation to twice the length."""

    def forward(self, x: Tensor) -> Tensor:
        mode = "bilinear" if x.ndim == 4 else "trilinear"
        return interpolate(x, scale_factor=2, mode=mode, align_corners=False)


def _reach(x: Tensor, across: Tensor) -> Tensor:
    """`x`, padded with zeros at the end to the size of `across`."""
    lacking = [there - here for here, there in zip(x.shape[2:], across.shape[2:], strict=True)]
    return pad(x, [amount for more in reversed(lacking) for amount in (0, more)]) if any(lacking) else x


def _fitted(name: str, task: Task, channels: int, widths: tuple[int, ...], style: Style) -> Fitted:
    if len(widths) < 2 or min(widths) < 2:
        raise SettingError(f"The network '{name}' needs at least two widths above 1, not {list(widths)}.")
    if not all(0 <= p < 1 for p in (style.pool, style.join, style.centre, style.end)):
        raise SettingError(f"The dropout of the network '{name}' must be at least 0 and below 1.")
    network = PlainUNet(task.dims, channels, len(task.classes), widths, style)
    factor = 2 ** (len(widths) - 1)
    # Interpolation would put the voxels of odd lengths beside their places: there whole multiples are needed.
    multiple = 1 if style.transposed else factor
    levels = (*network.encoder, network.deepest)
    return Fitted(
        network, network.deepest, multiple=multiple, factor=factor, head=network.head, levels=levels
    )


@register(
    "model",
    "stochastic_batches_unet",
    kinds=("segmentation",),
    paper="Gaillochet et al. 2023, Active learning for medical image segmentation with stochastic batches",
)
def stochastic_batches_unet(
    task: Task, channels: int, *, widths: tuple[int, ...] = (64, 128, 256, 512), dropout: float = 0.5
) -> nn.Module:
    """U-Net of Stochastic Batches: four levels, dropout after every pooling and concatenation.

    As released: batch norm and leaky ReLU, the first convolution with half the width of its level, transposed 2×2
    convolutions, no dropout on the deepest level. The release is 2D; in 3D it is the same with another dimension.
    """
    style = Style("batch", "leakyrelu", late=True, pool=dropout, join=dropout)
    return _fitted("stochastic_batches_unet", task, channels, widths, style)


@register(
    "model",
    "pcdal_unet",
    kinds=("segmentation",),
    paper="Çiçek et al. 2016, 3D U-Net, as PCDAL uses it",
)
def pcdal_unet(
    task: Task, channels: int, *, widths: tuple[int, ...] = (16, 32, 64, 128, 256), dropout: float = 0.3
) -> nn.Module:
    """3D U-Net of PCDAL: five levels, instance norm, linear upsampling, dropout after the deepest level and at the end.

    Instance norm without weights, as released (the flag there says batch norm). Lengths are padded to multiples of 16.
    """
    style = Style("instance", "relu", transposed=False, centre=dropout, end=dropout)
    return _fitted("pcdal_unet", task, channels, widths, style)


@register(
    "model",
    "ab_unet",
    kinds=("segmentation",),
    paper="AB-UNet, active Bayesian U-Net; dropout as in Gal and Ghahramani 2016",
)
def ab_unet(
    task: Task, channels: int, *, widths: tuple[int, ...] = (32, 64, 128, 256, 512), dropout: float = 0.5
) -> nn.Module:
    """Bayesian U-Net of AB-UNet: batch norm, and dropout on what each pooling of the encoder leaves.

    The paper's code was not found. Its widths are unknown (here U-Net's, halved); the decoder has no dropout, so that
    passes of the strategy `ab_unet` differ by the encoder's masks alone.
    """
    return _fitted("ab_unet", task, channels, widths, Style("batch", "relu", pool=dropout))
