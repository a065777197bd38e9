"""Small files for the tests of the data layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

RAS = np.diag([1.0, 1.0, 2.0, 1.0])


def nifti(path: Path, array: Any, affine: Any = RAS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(array), affine), path)
    return path


def png(path: Path, array: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path)
    return path


def volume(shape: tuple[int, ...] = (8, 10, 4), seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def blob(shape: tuple[int, ...] = (8, 10, 4), value: int = 1) -> Any:
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(n // 4, n // 4 + n // 2) for n in shape)] = value
    return label


ARCHIVES = """
dims = 3
channels = {CT = "{case}.npz"}
labels = {files = "{case}.npz"}
classes = {background = 0, a = 1}
"""


def archives(root: Path, cases: int = 3, **changed: Any) -> Path:
    """Data of one's own, a case an archive; `changed` are arrays of the first, None for one it lacks."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(cases):
        arrays = {"image": volume(seed=i), "label": blob(), "spacing": np.array([1.0, 1.0, 3.0])}
        arrays |= changed if i == 0 else {}
        np.savez(root / f"c{i}.npz", **{k: v for k, v in arrays.items() if v is not None})
    (root / "dataset.toml").write_text(ARCHIVES)
    return root


def decathlon(root: Path, cases: int = 4, shape: tuple[int, ...] = (8, 10, 4), channels: int = 1) -> Path:
    """A task of the Medical Segmentation Decathlon with `cases` cases."""
    names = [f"organ_{i:03d}" for i in range(cases)]
    for i, name in enumerate(names):
        image = volume(shape if channels == 1 else (*shape, channels), i)
        nifti(root / "imagesTr" / f"{name}.nii.gz", image)
        nifti(root / "labelsTr" / f"{name}.nii.gz", blob(shape, 1 + i % 2))
    write_list(root, names, channels)
    return root


def write_list(root: Path, names: list[str], channels: int = 1) -> None:
    facts = {
        "name": "Organ",
        "licence": "CC0",
        "tensorImageSize": "3D" if channels == 1 else "4D",
        "modality": {str(i): f"MR{i}" for i in range(channels)},
        "labels": {"0": "background", "1": "front", "2": "back"},
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names],
    }
    (root / "dataset.json").write_text(json.dumps(facts))


def pictures(root: Path, cases: int = 4, shape: tuple[int, int] = (20, 12), value: int = 255) -> Path:
    """A folder of images and masks."""
    for i in range(cases):
        png(root / "images" / f"p{i}_a.png", volume(shape, i).astype(np.uint8))
        png(root / "masks" / f"p{i}_a.png", blob(shape, value))
    return root


def archive(
    path: Path, classes: int = 2, counts: tuple[int, int, int] = (40, 10, 12), **changed: Any
) -> Path:
    """An NPZ archive laid out like MedMNIST."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, n in zip(("train", "val", "test"), counts, strict=True):
        arrays[f"{part}_images"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n) % classes).astype(np.uint8)[:, None]
    arrays |= changed
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path
