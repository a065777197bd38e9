"""Data set ``medmnist``: a set of MedMNIST (Yang et al. 2023), one NPZ archive with its official split.

    pneumoniamnist.npz      train_images [N, height, width] or [N, height, width, 3], in 3D [N, 28, 28, 28],
                            train_labels [N, 1], and the same of val and test

Larger images are in archives of their own: ``pneumoniamnist_64.npz``, ``_128``, ``_224``; 3D sets have ``_64``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from curette.data import npz
from curette.data.case import Case, Dataset
from curette.data.check import Problems, without_lonely
from curette.data.values import check_type, whole
from curette.errors import DataError, SettingError
from curette.registry import register
from curette.seeds import spawn
from curette.task import Task

LICENCE = "CC BY 4.0 (dermamnist: CC BY-NC 4.0)"
_ORGANS = (
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver", "lung-left",
    "lung-right", "pancreas", "spleen",
)  # fmt: skip
NAMES: dict[str, tuple[str, ...]] = {
    "pathmnist": (
        "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
        "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
    ),
    "dermamnist": (
        "actinic keratoses", "basal cell carcinoma", "benign keratosis-like lesions", "dermatofibroma", "melanoma",
        "melanocytic nevi", "vascular lesions",
    ),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "breastmnist": ("malignant", "normal or benign"),
    "bloodmnist": (
        "basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte", "monocyte", "neutrophil",
        "platelet",
    ),
    "tissuemnist": (
        "collecting duct, connecting tubule", "distal convoluted tubule", "glomerular endothelial cells",
        "interstitial endothelial cells", "leukocytes", "podocytes", "proximal tubule segments",
        "thick ascending limb",
    ),
    "organamnist": _ORGANS,
    "organcmnist": _ORGANS,
    "organsmnist": _ORGANS,
    "organmnist3d": (  # another order than in 2D
        "liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder", "heart", "lung-right",
        "lung-left", "spleen", "pancreas",
    ),
    "retinamnist": ("0", "1", "2", "3", "4"),  # grades
    "nodulemnist3d": ("benign", "malignant"),
    "adrenalmnist3d": ("normal", "hyperplasia"),
    "fracturemnist3d": ("buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"),
    "vesselmnist3d": ("vessel", "aneurysm"),
    "synapsemnist3d": ("inhibitory synapse", "excitatory synapse"),
}  # fmt: skip
"""Class names of the sets whose images have one class each."""


@register(
    "dataset",
    "medmnist",
    paper="Yang et al., Scientific Data 2023",
    task="2D and 3D classification",
    layout="pneumoniamnist.npz, with train_images [N, …], train_labels [N, 1], and val and test alike",
    source="https://medmnist.com",
    licence=LICENCE,
    size="12 sets of 780 to 236,386 images and 6 of 1,370 to 1,908 volumes",
)
def medmnist(
    root: Path | None,
    skip_bad: bool = False,
    *,
    set: str = "",
    subset: float = 1.0,
    imbalanced: dict[str, float] | None = None,
    seed: int = 0,
) -> Dataset:
    """A MedMNIST archive, 2D or 3D (``pneumoniamnist.npz``, any image size), or its folder, split as published.

    `set` names the archive when a folder holds several. `subset` keeps that share of each class in every part, drawn by
    `seed`. `imbalanced` makes the imbalanced variant of a training part: ``{pneumonia = 0.1}`` keeps a tenth of that
    class there and leaves validation and test alone. The archives name no patients, so every image counts as one.
    Raises `SettingError` for multi-label sets (chestmnist) and unknown classes, `DataError` for a damaged archive, a label
    that the set does not have, one class in all of training, and a class with a single image (`skip_bad` leaves it out).
    """
    path = _archive(root, set)
    labels = _labels(path)
    names = _names(path, labels)
    dims, colour = _axes(npz.headers(path)["train_images"][0])
    channels = ("red", "green", "blue") if colour else ("image",)
    task = Task(
        kind="classification", dims=dims, classes={n: i for i, n in enumerate(names)}, channels=channels
    )
    shares = _shares(imbalanced or {}, names)
    if not 0 < subset <= 1:
        raise SettingError(f"data.options.subset = {subset:g} must be a share above 0 and up to 1.")
    cases: list[Case] = []
    for part, values in labels.items():
        width = len(str(len(values) - 1))
        for i in _kept(values, subset, shares if part == "train" else {}, seed):
            case = f"{part}-{i:0{width}d}"
            source = npz.NpzSource(path, f"{part}_images", int(i), dims)
            cases.append(Case(case, case, (source,), target=int(values[i]), split=part))
    problems = Problems(f"medmnist data in {path}")
    cases = without_lonely(cases, problems)
    problems.settle(skip_bad)
    return Dataset(
        name=_set(path),
        task=task,
        cases=tuple(sorted(cases, key=lambda c: c.id)),
        licence=LICENCE,
        source="https://medmnist.com",
        notes=tuple(
            f"{share:g} of the training images of '{cls}' kept" for cls, share in (imbalanced or {}).items()
        ),
    )


def _archive(root: Path | None, name: str) -> Path:
    if root is None:
        raise SettingError(
            "The data set 'medmnist' needs data.root: an NPZ archive, or the folder that holds it."
        )
    if root.is_file():
        return root
    if not root.is_dir():
        raise DataError(f"There is no {root}. Point data.root to an NPZ archive of MedMNIST.")
    found = sorted(p for p in root.glob("*.npz") if not p.name.startswith("."))
    if name:
        found = [p for p in found if p.stem == name]
    if len(found) != 1:
        listed = ", ".join(p.stem for p in sorted(root.glob("*.npz"))) or "none"
        raise SettingError(f"{root} holds the archives {listed}. Say which with data.options.set.")
    return found[0]


def _axes(shape: tuple[int, ...]) -> tuple[Literal[2, 3], bool]:
    """Spatial axes of images [N, …], and whether they are in colour: no volume of MedMNIST is three voxels thin."""
    if len(shape) == 4 and shape[3] != 3:
        return 3, False
    return 2, len(shape) == 4


def _labels(path: Path) -> dict[str, NDArray[np.int64]]:
    """Class of each image by part, checked against the images' headers."""
    told = npz.headers(path)
    shapes = {key: shape for key, (shape, _) in told.items()}
    missing = [
        f"{p}_{k}" for p in ("train", "val", "test") for k in ("images", "labels") if f"{p}_{k}" not in shapes
    ]
    if missing:
        raise DataError(f"{path} has no arrays {', '.join(missing)}: it is not laid out like MedMNIST.")
    labels = {}
    for part in ("train", "val", "test"):
        for key in (f"{part}_images", f"{part}_labels"):
            check_type(told[key][1], f"{path} [{key}]")
        shape, values = shapes[f"{part}_images"], npz.load(path, f"{part}_labels")
        if len(shape) not in (3, 4):
            raise DataError(
                f"{path} holds images of shape {shape[1:]}; MedMNIST has [height, width], [height, width, 3] and, in "
                "3D, three axes."
            )
        first = shapes["train_images"]
        if shape[1:] != first[1:]:
            raise DataError(
                f"{path}: {part}_images are {list(shape[1:])}, train_images {list(first[1:])}. Download it again."
            )
        if values.ndim > 1 and values.shape[1] > 1:
            raise SettingError(
                f"{path} gives each image {values.shape[1]} labels at once (multi-label); "
                "curette needs sets with one class an image, such as pneumoniamnist."
            )
        if len(values) != shape[0] or shape[0] == 0:
            raise DataError(
                f"{path}: {shape[0]} {part} images and {len(values)} labels do not fit. Download it again."
            )
        labels[part] = whole(values.reshape(-1), f"{path} [{part}_labels]").astype(np.int64)
        if (lowest := int(labels[part].min())) < 0:
            raise DataError(
                f"{path} [{part}_labels] holds {lowest}; classes count from 0. Download it again."
            )
    return labels


def _set(path: Path) -> str:
    """The name of the set, without the size of its images."""
    return path.stem.split("_")[0].lower()


def _names(path: Path, labels: dict[str, NDArray[np.int64]]) -> tuple[str, ...]:
    """Names of the classes, numbers in sets that are not MedMNIST's.

    Raises `DataError` for a label that the published set does not have, and where there is one class only to learn.
    """
    names = NAMES.get(_set(path), ())
    for part, values in labels.items():
        if names and (strange := np.unique(values[values >= len(names)])).size:
            raise DataError(
                f"{path} [{part}_labels] holds {', '.join(map(str, strange.tolist()))} where {_set(path)} has the classes "
                f"0 to {len(names) - 1}. Download it again, or give a set of your own another name."
            )
    if len(learned := np.unique(labels["train"])) < 2:
        raise DataError(f"{path} [train_labels] holds class {learned[0]} only: there is nothing to learn.")
    return names or tuple(str(i) for i in range(max(int(v.max()) for v in labels.values()) + 1))


def _shares(imbalanced: dict[str, Any], names: tuple[str, ...]) -> dict[int, float]:
    for key, share in imbalanced.items():
        if key not in names:
            raise SettingError(
                f"data.options.imbalanced: there is no class '{key}'. Known: {', '.join(names)}."
            )
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise SettingError(
                f"data.options.imbalanced: {key} = {share!r} must be a share above 0 and up to 1."
            )
    return {names.index(key): float(share) for key, share in imbalanced.items()}


def _kept(values: NDArray[np.int64], subset: float, shares: dict[int, float], seed: int) -> NDArray[np.int64]:
    """Indices that stay, in order; of each class a share, but at least one image."""
    kept = []
    for cls in np.unique(values).tolist():
        members = np.flatnonzero(values == cls)
        count = max(1, round(len(members) * subset * shares.get(cls, 1.0)))
        kept.append(spawn(seed, cls, "medmnist subset").permutation(members)[:count])
    return np.sort(np.concatenate(kept))
