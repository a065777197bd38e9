"""Tiny made-up data in the layouts of published data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import SimpleITK
from files import nifti, png

from curette.data.datasets.kvasir import CLASSES

# Image and label are asymmetric along each axis and place each other: the label is where the image is bright.
SHAPE = (6, 8, 5)


def pair(value: int = 1, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> tuple[Any, Any]:
    """An image, below 100 and from 100 up where the label has `value`: a corner with one further voxel."""
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(1, 1 + n // 3) for n in shape)] = value
    label[tuple(n - 2 for n in shape)] = value
    noise = np.random.default_rng(seed).integers(0, 100, shape)
    return (noise + 100 * (label > 0)).astype(np.int16), label


def metaimage(path: Path, array: Any, affine: Any = None, local: bool = False) -> Path:
    """Write [x, y, z] with a NIfTI-like affine (RAS+); columns orthogonal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([1.0, 1.0, 2.0, 1.0]) if affine is None else np.asarray(affine, float)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(np.asarray(array).transpose(2, 1, 0)))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    SimpleITK.WriteImage(image, str(path))
    return path


def hdf5(path: Path, **arrays: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, compression="gzip")
    return path


def acdc(root: Path, patients: tuple[int, ...] = (1, 2, 3, 101)) -> Path:
    for number in patients:
        name = f"patient{number:03d}"
        folder = root / ("training" if number <= 100 else "testing") / name
        for frame in (1, 7 + number % 7):
            image, label = pair(1 + number % 3, seed=number + frame)
            nifti(folder / f"{name}_frame{frame:02d}.nii.gz", image)
            nifti(folder / f"{name}_frame{frame:02d}_gt.nii.gz", label)
        (folder / "Info.cfg").write_text(f"ED: 1\nES: {7 + number % 7}\nGroup: DCM\nNbFrame: 30\n")
        nifti(folder / f"{name}_4d.nii.gz", np.zeros((*SHAPE, 2), np.int16))
    return root


def acdc_h5(root: Path, patients: tuple[int, ...] = (1, 2, 3)) -> Path:
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": [], "train_slices": []}
    for i, number in enumerate(patients):
        volume = f"patient{number:03d}_frame01"
        image, label = pair(1 + i % 3, seed=number)
        image, label = (image / 200).astype(np.float32).T, label.T  # [slices, height, width]
        hdf5(root / "data" / f"{volume}.h5", image=image, label=label)
        part = ("train", "val", "test")[i % 3]
        lists[part].append(volume)
        for z in range(SHAPE[2]):
            hdf5(root / "data" / "slices" / f"{volume}_slice_{z}.h5", image=image[z], label=label[z])
            if part == "train":
                lists["train_slices"].append(f"{volume}_slice_{z}")
    for name, lines in lists.items():
        (root / f"{name}.list").write_text("\n".join(lines) + "\n")
    return root


def promise12(root: Path, cases: int = 3) -> Path:
    for number in range(cases):
        image, label = pair(seed=number)
        metaimage(root / "training_data" / f"Case{number:02d}.mhd", image)
        metaimage(root / "training_data" / f"Case{number:02d}_segmentation.mhd", label)
        metaimage(root / "test_data" / f"Case{number:02d}.mhd", image)
    return root


def kits19(root: Path, cases: int = 3) -> Path:
    stored = np.array([[0, 0, -0.8, 0], [0, -0.8, 0, 0], [-3, 0, 0, 0], [0, 0, 0, 1]])  # slices first
    for number in range(cases):
        image, label = pair(1 + number % 2, seed=number)
        nifti(root / "data" / f"case_{number:05d}" / "imaging.nii.gz", image, stored)
        nifti(root / "data" / f"case_{number:05d}" / "segmentation.nii.gz", label, stored)
    nifti(root / "data" / "case_00210" / "imaging.nii.gz", image, stored)
    return root


def brats2019(root: Path, third: str = "CBICA_AAB") -> Path:
    names = ["BraTS19_2013_10_1", "BraTS19_2013_10_2", f"BraTS19_{third}_1"]
    for i, name in enumerate(names):
        folder = root / ("HGG" if i < 2 else "LGG") / name
        image, label = pair((1, 2, 4)[i], seed=i)
        for channel in ("flair", "t1", "t1ce", "t2"):
            nifti(folder / f"{name}_{channel}.nii.gz", image + len(channel))
        nifti(folder / f"{name}_seg.nii.gz", label)
    rows = ["Grade,BraTS_2018_subject_ID,BraTS_2019_subject_ID", *(f"HGG,NA,{name}" for name in names)]
    (root / "name_mapping.csv").write_text("\n".join(rows) + "\n")
    return root


def segthor(root: Path, patients: int = 4) -> Path:
    for number in range(1, patients + 1):
        name = f"Patient_{number:02d}"
        image, label = pair(number, seed=number)
        nifti(root / "train" / name / f"{name}.nii.gz", image)
        nifti(root / "train" / name / "GT.nii.gz", label)
    nifti(root / "test" / "Patient_41.nii.gz", image)
    return root


def left_atrium(root: Path) -> Path:
    names = ["0RZDK210BSMWAA6467LU", "1D7CUD1955YZPGK8XHJX", "2BTR9BTJ36BZBI0P5XQU"]
    for i, name in enumerate(names):
        image, label = pair(seed=i)
        path = root / "2018LA_Seg_Training Set" / name / "mri_norm2.h5"
        hdf5(path, image=image.astype(np.float32), label=label)
    (root / "train.list").write_text("\n".join(names[:2]) + "\n")
    (root / "test.list").write_text(names[2] + "\n")
    return root


def isic2018(root: Path) -> Path:
    for i, part in enumerate(("Training", "Validation", "Test")):
        for number in range(2 * i, 2 * i + 2):
            image, label = pair(255, (16, 24), number)
            name = f"ISIC_{number:07d}"
            colour = np.repeat(image[..., None], 3, 2).astype(np.uint8)
            png(root / f"ISIC2018_Task1-2_{part}_Input" / f"{name}.jpg", colour)
            png(root / f"ISIC2018_Task1_{part}_GroundTruth" / f"{name}_segmentation.png", label)
        (root / f"ISIC2018_Task1-2_{part}_Input" / "LICENSE.txt").write_text("CC")
    return root


def kvasir(root: Path, each: int = 2) -> Path:
    for i, name in enumerate(CLASSES):
        for number in range(each):
            image = np.full((8, 12, 3), 20 * i + number, np.uint8)
            png(root / "kvasir-dataset-v2" / name / f"{i}{number}bdce4.jpg", image)
    return root


def covid_qu(root: Path) -> Path:
    name = "Infection Segmentation Data"
    for part in ("Train", "Val", "Test"):
        for kind in ("COVID-19", "Non-COVID", "Normal"):
            folder = root / name / name / part / kind
            for number in range(2):
                image, label = pair(255, (16, 24), number)
                label = label if kind == "COVID-19" else label * 0
                png(folder / "images" / f"{kind} ({number}).png", image.astype(np.uint8))
                png(folder / "infection masks" / f"{kind} ({number}).png", label)
                png(folder / "lung masks" / f"{kind} ({number}).png", label * 0 + 255)
    return root
