"""Passes that need no trained model: embeddings of the images alone, so that a choice can be made before any label.

A component of kind ``passes`` registered with ``encoder=True`` is a function ``(Encoding) -> float32 [N, d]``: one row a
region, finite, every column of the same meaning for all of them. It makes no prediction, so only selectors and pool
scorers that look at embeddings go with it. ``info`` may say ``trained=True``, that the rows come from something that is
trained on all of the regions, so that rows of two calls must not be mixed; ``check``, a function of its options that
raises for what cannot work, quick enough to be called before anything else; and ``stamp``, a function of its options that
gives a text for what the rows depend on besides images and options. Nothing here imports torch before a network is
trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.data.features import digest, open_features
from curette.errors import ContractError, SettingError
from curette.learn.learner import Images
from curette.region import Region
from curette.registry import Bound, register

_CHUNK = 65_536

Encode = Callable[[Bound, Sequence[Region]], NDArray[np.float32]]
"""Embeddings [N, d] of regions by passes that are an encoder, the same encoder at every call."""


@dataclass(frozen=True)
class Encoding:
    """What an encoder is given.

    images   the images of the regions
    regions  N regions, all that it is trained on and asked for
    seed     all randomness comes from it
    device   where to compute: cpu, cuda, cuda:1
    batch    regions per forward pass
    """

    images: Images
    regions: Sequence[Region]
    seed: int
    device: str = "cpu"
    batch: int = 64


def encodes(passes: Bound) -> bool:
    """Whether these passes see images only and give embeddings, so that no trained model is needed."""
    return bool(passes.component.info.get("encoder"))


def trained(passes: Bound) -> bool:
    """Whether the encoder is trained on the very regions it is asked for."""
    return bool(passes.component.info.get("trained"))


def check_options(passes: Bound) -> None:
    """Raise `SettingError` or `DataError` for options of an encoder that cannot work, before anything is trained."""
    if encodes(passes) and (check := passes.component.info.get("check")):
        check(**passes.settings)


def check_rows(passes: Bound, images: Images, regions: Sequence[Region]) -> None:
    """Ask an encoder that is not trained for every row, so that one that is missing or not finite shows before anything
    is trained. Does nothing for other passes."""
    if encodes(passes) and not trained(passes):
        for start in range(0, len(regions), _CHUNK):
            chosen = regions[start : start + _CHUNK]
            rows(passes(Encoding(images, chosen, seed=0)), passes, len(chosen))


def stamp(passes: Bound) -> str:
    """What an encoder's rows depend on besides images, seed and options, as a text; "" for nothing."""
    made = passes.component.info.get("stamp")
    return str(made(**passes.settings)) if made else ""


def _check_training(*, steps: int, width: int, batch: int, temperature: float, strength: float) -> None:
    limits = (
        ("steps", steps, steps >= 1, "1 or more"),
        ("width", width, width >= 8, "8 or more"),
        ("batch", batch, batch >= 2, "2 or more, as images are told from the others of their batch"),
        ("temperature", temperature, temperature > 0, "above 0"),
        ("strength", strength, 0 < strength <= 2, "above 0 and up to 2"),
    )
    for name, value, fine, must in limits:
        if not fine:
            raise SettingError(f"Passes 'self_supervised': {name} is {value:g}, but must be {must}.")


@register(
    "passes",
    "self_supervised",
    encoder=True,
    trained=True,
    members=0,
    passes=0,
    check=_check_training,
    examples=("self_supervised(steps=50, width=16, batch=8)",),
    paper="Chen et al. 2020, A simple framework for contrastive learning of visual representations (SimCLR)",
)
def self_supervised(
    asked: Encoding,
    *,
    steps: int = 500,
    width: int = 64,
    batch: int = 32,
    temperature: float = 0.2,
    strength: float = 1.0,
) -> NDArray[np.float32]:
    """Features of a small network that is trained on the pool's images and nothing else: no label, no download.

    The network learns to recognise two random changes of the same image among those of others (SimCLR). Images that it
    cannot tell apart get close features, so the selectors `k_center`, `kmeans`, `typiclust` and `prob_cover` can spread
    the first labels over what there is. `width` is the number of features d; `steps` batches of `batch` images are seen;
    `temperature` divides the cosine similarities; `strength` scales the random changes (rotation, size, shift,
    brightness, contrast, gamma, noise; never mirrored, since left and right may matter). About half a minute on one core
    with the defaults and images of 48 × 48, once a seed. Warns when the features hardly differ between images (collapse).

    Deliberate choices: SimCLR crops parts of natural photographs and shifts their colours; organs fill medical images
    and grey values mean something, so the changes are the milder ones that training knows. The features are those before
    the projection head, as in the paper.

    Raises `SettingError` for options out of range and for fewer than two regions, `DataError` for images that are not
    finite.
    """
    from curette.learn.selfsupervised import Recipe, encode

    _check_training(steps=steps, width=width, batch=batch, temperature=temperature, strength=strength)
    return encode(asked, Recipe(steps, width, batch, temperature, strength))


def _check_file(*, file: str, ids: str) -> None:
    if not isinstance(file, str):
        raise SettingError(f"Passes 'features': file is {file!r}, but must be a text such as \"dino.npz\".")
    open_features(file, ids)


def _stamp_of_file(*, file: str, ids: str) -> str:
    return digest(file, ids)


@register("passes", "features", encoder=True, members=0, passes=0, check=_check_file, stamp=_stamp_of_file)
def features(asked: Encoding, *, file: str, ids: str = "") -> NDArray[np.float32]:
    """Features from a file, computed elsewhere, such as those of a foundation model: one row a region.

    `file` is an NPZ archive with arrays `ids` and `features` [N, d], an NPY file [N, d] with the ids in a text file of
    the same name (or `ids`), or a CSV file whose first column is the id. An id is the text of a region: ``case17`` for
    an image, ``case17@z=12`` for a slice. NPY and uncompressed NPZ files are memory-mapped. Rows that are not asked for
    do no harm. Relative paths start at the working directory.

    Raises `DataError` naming the file, and the region where there is one, for what is missing, damaged or not finite.
    """
    return open_features(file, ids).take(asked.regions)


def rows(found: Any, passes: Bound, count: int) -> NDArray[np.float32]:
    """What an encoder gave for `count` regions, held to its contract. Raises `ContractError` naming the passes."""
    array = np.asarray(found)
    if array.ndim != 2 or len(array) != count or array.dtype != np.float32:
        raise ContractError(
            f"The passes '{passes}' gave {array.dtype} {list(array.shape)} for {count} regions; it must be float32 "
            f"[{count}, features]."
        )
    return array
