"""Weights that a residual encoder starts from: ImageNet's in 2D, MedicalNet's in 3D, or those of a file.

torchvision, MedicalNet and MONAI name the parts of a ResNet alike (``layer2.0.conv1.weight``), so weights fit by name.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from curette.data.cache import root
from curette.data.download import Remote, digest, fetch
from curette.errors import CuretteWarning, DataError, SettingError, unknown

FIRST = "conv1.weight"
_HEADS = ("fc.", "conv_seg.")
"""Beginnings of the names of what a file may hold besides an encoder: the layers of the task it was trained for."""


@dataclass(frozen=True)
class Source:
    """A published file. `sha256` is its checksum as far as it is published: all digits, the first eight, or none."""

    url: str
    sha256: str = ""


_TORCHVISION = "https://download.pytorch.org/models/"
_MEDICALNET = "https://huggingface.co/TencentMedicalNet/MedicalNet-"
SOURCES = {
    ("imagenet", 18): Source(
        _TORCHVISION + "resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    ("imagenet", 34): Source(_TORCHVISION + "resnet34-b627a593.pth", "b627a593"),
    ("imagenet", 50): Source(
        _TORCHVISION + "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
    ("medicalnet", 18): Source(
        _MEDICALNET + "Resnet18/resolve/main/resnet_18_23dataset.pth",
        "61224f9317fcce873366deb3703183e92cc47325b726b69691b33536244e10f4",
    ),
    ("medicalnet", 34): Source(_MEDICALNET + "Resnet34/resolve/main/resnet_34_23dataset.pth"),
    ("medicalnet", 50): Source(_MEDICALNET + "Resnet50/resolve/main/resnet_50_23dataset.pth"),
}
"""Official files of torchvision (first version of the ImageNet weights) and of MedicalNet (Chen et al. 2019)."""
DIMS = {"imagenet": 2, "medicalnet": 3}
_NORMALISE = ("imagenet", "none")
_COLOURS = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
"""Of ImageNet's pictures from 0 to 1: red, green and blue, as torchvision normalises by them."""


def load(network: nn.Module, pretrained: str, *, dims: int, depth: int) -> None:
    """Put published weights into a ResNet of this depth, in place.

    `pretrained` is ``imagenet`` (2D), ``medicalnet`` (3D), or a file that `torch.save` wrote: a state dict in torchvision's
    or MedicalNet's names, alone or as ``state_dict``, with or without ``module.`` before each name. Classification and
    segmentation heads of the file are left out; all else must fit, name by name.

    The first convolution takes other numbers of channels than the file's: each gets the mean of the file's filters over
    their channels, times (channels of the file / channels here). A grey image then gives what its three-fold copy gives
    with the file's own filters. What images are normalised by is `Shifted`'s.

    Raises `SettingError` for weights of other dimensions, `DataError` for what cannot be downloaded, read, or does not fit.
    """
    path = find(pretrained, dims=dims, depth=depth)
    state = read(path)
    wanted = network.state_dict()
    if FIRST in state and state[FIRST].ndim != dims + 2:
        raise SettingError(
            f"{path} holds weights of a {state[FIRST].ndim - 2}D network, but the task is {dims}D. Set "
            f"train.options.pretrained to a file of {dims}D weights, or leave it out."
        )
    if FIRST in state:
        state[FIRST] = adapted(state[FIRST], wanted[FIRST].shape[1])
    for name, value in wanted.items():
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, value)  # older files have none, and nothing here reads them
    _compare(path, state, wanted)
    network.load_state_dict(state)


class Shifted(nn.Sequential):
    """Layers whose input, images from 0 to 1, first becomes (image - mean) / deviation, as ImageNet's weights were trained.

    Three channels have ImageNet's red, green and blue, any other number the averages of these. Both are stored with the
    weights, so that a network without them is not taken for one with them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *layers: nn.Module, channels: int, dims: int) -> None:
        super().__init__(*layers)
        for name, values in _COLOURS.items():
            each = values if channels == 3 else (sum(values) / 3,) * channels
            self.register_buffer(name, torch.tensor(each).reshape(-1, *(1,) * dims))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x - self.mean) / self.deviation)  # type: ignore[no-any-return, no-untyped-call]


def normalisation(pretrained: str, normalise: str) -> str:
    """``imagenet`` or ``none``: what `normalise` means where a network starts from `pretrained`.

    Raises `SettingError` for another word.
    """
    if normalise not in (*_NORMALISE, "auto"):
        raise unknown("normalisation", normalise, (*_NORMALISE, "auto"))
    if normalise == "auto":
        return "imagenet" if pretrained == "imagenet" else "none"
    return normalise


def find(pretrained: str, *, dims: int, depth: int) -> Path:
    """The file that `pretrained` means; a published one is downloaded into the cache first, unless it is there."""
    if pretrained not in DIMS:
        path = Path(pretrained).expanduser()
        if not path.is_file():
            raise DataError(
                f"There is no file of weights {path.absolute()}. Set train.options.pretrained to a file, to 'imagenet' "
                "(2D) or 'medicalnet' (3D), or leave it out to start from random weights."
            )
        return path
    if DIMS[pretrained] != dims:
        other = next(name for name, fits in DIMS.items() if fits == dims)
        raise SettingError(
            f"Weights of '{pretrained}' are for {DIMS[pretrained]}D images, but the task is {dims}D. Set "
            f"train.options.pretrained to '{other}', to a file, or leave it out."
        )
    return download(SOURCES[pretrained, depth])


def download(source: Source, *, wait: float = 0.2) -> Path:
    """The file of a source in the folder ``weights`` of the cache, downloaded if it is not there. Its checksum is looked
    at each time; of a file whose checksum is not published, a warning says it when it is downloaded. Raises `DataError`
    that says how to go on without a network."""
    remote = Remote(source.url)
    path = root(None) / "weights" / remote.name
    new = not path.is_file()
    try:
        fetch(remote, path, wait=wait)
    except DataError as problem:
        raise DataError(
            f"{problem} Or put the file there yourself: {path}. Or set train.options.pretrained to a file that you have, "
            "or leave it out to start from random weights."
        ) from problem
    found = digest(path, "sha256")
    if new and not source.sha256:
        warnings.warn(
            f"No checksum of {source.url} is known here, so that {path} was taken as it came. Its SHA-256 is {found}: "
            "compare it with what the publisher shows.",
            CuretteWarning,
            stacklevel=2,
        )
    if not found.startswith(source.sha256):
        path.unlink()
        raise DataError(
            f"{path} has the SHA-256 {found}, but that of {source.url} begins with {source.sha256}. It was deleted: run "
            "the same command again, or set train.options.pretrained to a file that you trust."
        )
    return path


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name, without the heads of the task it was trained for.

    Nothing but tensors and plain containers is unpickled. Raises `DataError` for a file that is damaged or holds no
    state dict.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as problem:
        raise DataError(
            f"The weights {path} cannot be read, the file is damaged or no PyTorch file ({type(problem).__name__}). "
            "Get it again."
        ) from problem
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise DataError(f"The weights {path} are no state dict. Save `model.state_dict()` with torch.save.")
    named = {str(name).removeprefix("module."): value for name, value in content.items()}
    return {name: value for name, value in named.items() if not name.startswith(_HEADS)}


def adapted(weight: Tensor, channels: int) -> Tensor:
    """Filters [d, c, *k] for another number of input channels: their mean over channels, scaled so that an image with the
    same in all channels gives the same; unchanged where the number is the same."""
    own = weight.shape[1]
    if own == channels:
        return weight
    spread = weight.mean(1, keepdim=True) * (own / channels)
    return spread.expand(-1, channels, *spread.shape[2:]).contiguous()


def _compare(path: Path, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise `DataError` that names what does not fit, if anything does not."""
    odd = {
        "missing": sorted(wanted.keys() - state.keys()),
        "unknown": sorted(state.keys() - wanted.keys()),
        "of another shape": [
            f"{name} {list(state[name].shape)} for {list(wanted[name].shape)}"
            for name in wanted
            if name in state and state[name].shape != wanted[name].shape
        ],
    }
    said = [f"{len(names)} {what}: {_some(names)}" for what, names in odd.items() if names]
    if said:
        raise DataError(
            f"The weights {path} do not fit this network. {'; '.join(said)}. They are of another depth or architecture: "
            "set train.model to the one they were made with, or leave train.options.pretrained out."
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
