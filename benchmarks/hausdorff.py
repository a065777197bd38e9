"""HD95: this library against MONAI and against a distance transform on the same crop, and its share of an evaluation.

    python benchmarks/hausdorff.py [--data FOLDER] [--rounds 5]

Truths are hippocampus labels if the Medical Segmentation Decathlon's Task04 is under FOLDER (default CURETTE_DATA or
../shared/data), and blobs of three sizes; predictions are the same labels warped by smooth random fields of a given size
in voxels. All contestants see the same masks, in turn, round after round; the ratio is the median over rounds. Every
value is compared to MONAI's.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, map_coordinates

from curette.learn.metrics import Comparison, dice_2d, dice_3d
from curette.learn.surface import hausdorff_by_class

Labels = NDArray[np.uint8]
Pair = tuple[Labels, Labels]
CLASSES = 3


def warped(labels: Labels, amplitude: float, rng: np.random.Generator) -> Labels:
    """The labels moved by a smooth random field whose standard deviation is `amplitude` voxels along each axis."""
    fields = [gaussian_filter(rng.normal(size=labels.shape), 3) for _ in labels.shape]
    grid = np.meshgrid(*(np.arange(n) for n in labels.shape), indexing="ij")
    moved = [g + amplitude * f / f.std() for g, f in zip(grid, fields, strict=True)]
    return np.asarray(map_coordinates(labels, moved, order=0, mode="nearest"), dtype=np.uint8)


def blobs(shape: Sequence[int], rng: np.random.Generator) -> Labels:
    """Two touching ellipsoids with an uneven surface, about a third as long as the volume."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    noise = gaussian_filter(rng.normal(size=tuple(shape)), 3)
    radius = np.sqrt(sum(a**2 for a in axes)) + 0.1 * noise / noise.std()
    return np.where(radius < 0.4, 1 + (axes[0] > 0), 0).astype(np.uint8)


def hippocampi(data: Path, count: int) -> list[Labels]:
    import nibabel

    files = sorted((data / "Task04_Hippocampus" / "labelsTr").glob("hippocampus_*.nii.gz"))[:count]
    return [np.asarray(nibabel.load(f).dataobj).astype(np.uint8) for f in files]  # type: ignore[attr-defined]


def ours(pairs: list[Pair]) -> list[NDArray[Any]]:
    return [hausdorff_by_class(p, t, classes=CLASSES, spacing=(1.0,) * t.ndim) for p, t in pairs]


def monai(pairs: list[Pair]) -> list[NDArray[Any]]:
    hot = [
        [torch.from_numpy(np.stack([m == c for c in range(CLASSES)])[None]) for m in pair] for pair in pairs
    ]
    return [compute_hausdorff_distance(p, t, percentile=95, spacing=1.0).numpy()[0] for p, t in hot]


def transform(pairs: list[Pair]) -> list[NDArray[Any]]:
    """The textbook way: erosion and exact distance transforms on the crop to both masks."""
    out = []
    for pair in pairs:
        row = []
        for c in range(1, CLASSES):
            masks = [m == c for m in pair]
            where = np.nonzero(masks[0] | masks[1])
            box = tuple(slice(w.min(), w.max() + 1) for w in where)
            edges = [m[box] & ~binary_erosion(m[box]) for m in masks]
            maps = [distance_transform_edt(~e) for e in edges]
            row.append(max(np.percentile(maps[1][edges[0]], 95), np.percentile(maps[0][edges[1]], 95)))
        out.append(np.array(row))
    return out


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def race(name: str, pairs: list[Pair], rounds: int) -> None:
    error = np.max(np.abs(np.array(ours(pairs)) - np.array(monai(pairs))))
    taken = np.array(
        [[seconds(lambda r=r: r(pairs)) for r in (ours, monai, transform)] for _ in range(rounds)]
    )
    ms = 1e3 * np.median(taken, axis=0) / len(pairs)
    faster = np.median(taken[:, 1:] / taken[:, :1], axis=0)
    print(
        f"{name:34s} HD95 {np.mean(ours(pairs)):5.2f}  ours {ms[0]:8.2f} ms  MONAI {ms[1]:8.2f} ms (x{faster[0]:5.1f})"
        f"  distance transform {ms[2]:8.2f} ms (x{faster[1]:5.1f})  largest difference {error:.1e}"
    )


def share(pairs: list[Pair], rounds: int) -> None:
    """How long all segmentation metrics of the pairs take, and how much of that is HD95."""

    def measure(distance: bool) -> None:
        for p, t in pairs:
            case = Comparison(p, t, CLASSES, (1.0,) * t.ndim, ignore=255, axis=1)
            dice_2d(case), dice_3d(case), case.one_empty
            if distance:
                case.hausdorff(95.0, "monai")

    taken = np.array([[seconds(lambda d=d: measure(d)) for d in (False, True)] for _ in range(rounds)])
    counts, everything = np.median(taken, axis=0)
    print(
        f"metrics of {len(pairs)} volumes: {1e3 * everything:.0f} ms, of which Dice {1e3 * counts:.0f} ms "
        f"and HD95 {1e3 * (everything - counts):.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CURETTE_DATA", root)))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    truths = hippocampi(given.data, 50)
    for amplitude in (0.5, 1.0, 2.0, 4.0) if truths else ():
        pairs = [(warped(t, amplitude, rng), t) for t in truths]
        race(f"hippocampus, warped by {amplitude}", pairs, given.rounds)
        if amplitude == 1.0:
            share(pairs, given.rounds)
    for shape in ((256, 256), (64, 64, 64), (160, 160, 96)):
        for amplitude in (1.0, 4.0):
            truth = blobs(shape, rng)
            name = "x".join(map(str, shape))
            race(
                f"blobs {name}, warped by {amplitude}", [(warped(truth, amplitude, rng), truth)], given.rounds
            )


if __name__ == "__main__":
    main()
