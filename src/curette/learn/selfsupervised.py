"""A small network trained on images alone: two random changes of an image are to be recognised among other images.

SimCLR (Chen et al. 2020) at the size of a few thousand medical images: a light residual encoder, a projection head of two
layers that is thrown away afterwards, AdamW for a fixed number of steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from monai.networks.blocks import Convolution
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, relu

from curette.data.augment import augment
from curette.errors import CuretteWarning, DataError, SettingError
from curette.learn.encoders import Encoding
from curette.learn.fuse import fused
from curette.learn.layout import layout, memory_format
from curette.learn.progress import Clock
from curette.learn.schedules import cosine
from curette.learn.train import DivergedError, shuffled_passes
from curette.recipe import Augment
from curette.region import Region
from curette.seeds import derive

VIEWS = Augment(
    rotate=30, scale=0.25, shift=0.1, brightness=0.15, contrast=0.25, gamma=0.4, noise=0.05, flip=()
)
"""The random changes at strength 1: about twice those of training."""
PROBE = 512
"""Regions among which collapse is looked for."""
COLLAPSED = 0.02
"""Spread of the features, as a share of their size, below which images can hardly be told apart."""
_PEAK, _DECAY, _WARMUP = 1e-3, 1e-4, 0.05
_CHECK_EVERY = 50


@dataclass(frozen=True)
class Recipe:
    """How the encoder is trained; see `curette.learn.encoders.self_supervised`."""

    steps: int = 500
    width: int = 64
    batch: int = 32
    temperature: float = 0.2
    strength: float = 1.0


def encode(asked: Encoding, recipe: Recipe) -> NDArray[np.float32]:
    """Train an encoder on the regions and give their features, float32 [N, width].

    The same regions, seed and number of threads give bit-equal features. Raises `SettingError` for fewer than two
    regions, `DataError` for images that are not finite, `DivergedError` when the loss is no number any more; warns when
    the features have collapsed.
    """
    if len(asked.regions) < 2:
        raise SettingError(
            f"The passes 'self_supervised' learn to tell images apart, and there is {len(asked.regions)}. "
            "Use the passes 'none', or put more patients into split.train."
        )
    encoder = train_encoder(asked, recipe)
    found = embed(encoder, asked)
    if spread(found[_evenly(len(found), PROBE)]) < COLLAPSED:
        warnings.warn(
            "The features of 'self_supervised' have collapsed: they hardly differ between images, so that what is chosen "
            "by them is close to chance. Look whether the images differ at all; if they do, give more steps, or a lower "
            "temperature.",
            CuretteWarning,
            stacklevel=2,
        )
    return found


def train_encoder(asked: Encoding, recipe: Recipe) -> nn.Module:
    """The trained encoder, in evaluation mode: images [B, channels, *S] → features [B, width, *s]."""
    device = torch.device(asked.device)
    first = _load(asked, asked.regions[:1])
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(derive(asked.seed, 0, "weights"))
        encoder, head = build(first.ndim - 2, first.shape[1], recipe.width)
    both = nn.ModuleDict({"encoder": encoder, "head": head})
    both.to(device, memory_format=memory_format(first)).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(both.parameters(), lr=_PEAK, weight_decay=_DECAY)
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="32-true",
    )
    model, optimiser = fabric.setup(_Projected(both), optimiser)
    order = torch.Generator().manual_seed(derive(asked.seed, 0, "order"))
    changes = torch.Generator(device).manual_seed(derive(asked.seed, 0, "augment"))
    views, size = stronger(VIEWS, recipe.strength), min(recipe.batch, len(asked.regions))
    batches = shuffled_passes(len(asked.regions), size, order)
    total = torch.zeros((), device=device)
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = _PEAK * cosine(Clock(step, recipe.steps), _WARMUP)
        images = _load(asked, [asked.regions[i] for i in next(batches).tolist()]).to(device)
        pair = torch.cat([_change(images, views, changes) for _ in range(2)])
        loss = contrast(model(layout(pair)), recipe.temperature)
        optimiser.zero_grad()
        fabric.backward(loss)
        optimiser.step()
        total += loss.detach()
        if (step + 1) % _CHECK_EVERY == 0 or step + 1 == recipe.steps:
            _check(total, step + 1)
    return encoder.eval()


def embed(encoder: nn.Module, asked: Encoding) -> NDArray[np.float32]:
    """Features of all regions averaged over space, [N, d], without augmentation."""
    device, network = torch.device(asked.device), fused(encoder)
    found: NDArray[np.float32] | None = None
    for start in range(0, len(asked.regions), asked.batch):
        chosen = asked.regions[start : start + asked.batch]
        with torch.inference_mode():
            rows = network(layout(_load(asked, chosen).to(device))).flatten(2).mean(2).cpu().numpy()
        if found is None:
            found = np.empty((len(asked.regions), rows.shape[1]), np.float32)
        found[start : start + len(chosen)] = rows
    assert found is not None, "there is at least one region"
    return found


def build(dims: int, channels: int, width: int) -> tuple[nn.Module, nn.Module]:
    """The encoder, a stem and two residual levels that each halve the image, and the projection head; both new."""
    narrow = max(4, width // 4)
    stem = _convolution(dims, channels, narrow, kernel=5, stride=2)
    middle = max(4, width // 2)
    encoder = nn.Sequential(stem, _Level(dims, narrow, middle), _Level(dims, middle, width))
    head = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, width))
    return encoder, head


def contrast(projections: Tensor, temperature: float) -> Tensor:
    """The NT-Xent loss of projections [2 B, d], where rows i and i + B are changes of the same image.

    Mean over all 2 B rows of the cross-entropy of finding the other one among the remaining 2 B - 1 by cosine
    similarity over `temperature` (Chen et al. 2020, equation 1). Equal projections give ln(2 B - 1), which is what
    collapse looks like.
    """
    z = normalize(projections.float(), dim=1)
    similarity = z @ z.T / temperature
    similarity.fill_diagonal_(-torch.inf)  # nothing is compared with itself
    count = len(z)
    other = torch.arange(count, device=z.device).roll(count // 2)
    return cross_entropy(similarity, other)


def spread(features: NDArray[np.float32]) -> float:
    """How far features [n, d] lie from their mean, as a share of their size: 0 when all are equal, up to 1."""
    x = features.astype(np.float64)
    size = float((x**2).sum())
    return float(np.sqrt(((x - x.mean(axis=0)) ** 2).sum() / size)) if size > 0 else 0.0


def stronger(views: Augment, strength: float) -> Augment:
    """The changes `strength` times as large, as far as they make sense."""
    scaled = {
        name: value * strength
        for name, value in views.model_dump().items()
        if isinstance(value, float) and name != "noisy"  # how many samples get noise, not how much
    }
    return views.model_copy(update=scaled | {"rotate": min(scaled["rotate"], 180.0)})


class _Level(nn.Module):
    """A residual unit of stride 2.

    The way past it averages before its 1×1 convolution (He et al. 2019, ResNet-D). That loses nothing, and a 1×1
    convolution of stride 2 with few channels makes PyTorch 2.13 read beyond its memory on CPUs.
    """

    def __init__(self, dims: int, inside: int, outside: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(dims, inside, outside, stride=2), _convolution(dims, outside, outside, act=False)
        )
        self.skip = nn.Sequential(
            getattr(nn, f"AvgPool{dims}d")(2, ceil_mode=True),
            _convolution(dims, inside, outside, kernel=1, act=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.body(x) + self.skip(x))


def _convolution(
    dims: int, inside: int, outside: int, *, kernel: int = 3, stride: int = 1, act: bool = True
) -> nn.Module:
    return Convolution(  # type: ignore[no-any-return]
        dims,
        inside,
        outside,
        strides=stride,
        kernel_size=kernel,
        adn_ordering="NA",
        act=("relu", {"inplace": True}) if act else None,
        norm="batch",
        bias=False,
    )


class _Projected(nn.Module):
    """Images [B, channels, *S] → projections [B, d]."""

    def __init__(self, parts: nn.ModuleDict) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        return self.parts["head"](self.parts["encoder"](x).flatten(2).mean(2))  # type: ignore[no-any-return]


def _load(asked: Encoding, regions: Sequence[Region]) -> Tensor:
    """Images [B, channels, *S] of regions. Raises `DataError` naming the first that is not finite."""
    array = asked.images.batch(regions)[0]
    good = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if not good.all():
        raise DataError(
            f"The image of '{regions[int(np.argmin(good))]}' holds NaN or infinite values. Repair it, or leave it out."
        )
    return torch.from_numpy(np.ascontiguousarray(array))


def _change(images: Tensor, views: Augment, generator: torch.Generator) -> Tensor:
    """One random change of every image."""
    nothing = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    return augment(images, nothing, views, generator, ignore=-1)[0]


def _check(total: Tensor, steps: int) -> None:
    if not bool(torch.isfinite(total)):
        raise DivergedError(
            f"The training of 'self_supervised' diverged: within the first {steps} steps the loss was no longer a number. "
            "Give a higher temperature, or look for images with huge values."
        )


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` positions spread over `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
