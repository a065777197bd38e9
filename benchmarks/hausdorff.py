"""HD95: this library against MONAI, medpy, surface-distance and a distance transform on the same crop.

    pip install medpy==0.5.2 surface-distance==0.1   # optional: what is not there is left out
    python benchmarks/hausdorff.py [--data FOLDER] [--rounds 5]

Truths are hippocampus labels if the Medical Segmentation Decathlon's Task04 is under FOLDER (default CURETTE_DATA or
../shared/data), and blobs of three sizes; predictions are the same labels warped by smooth random fields of a given size
in voxels. All contestants see the same masks, in turn, round after round; the ratio is the median over rounds. Values are
compared to MONAI's and medpy's, each with the definition of its own; surface-distance weighs distances by the area of the
surface, which runs between the voxels, so that its values are others. First all of them are asked for the spec's examples,
whose values are known. At the end stands how much of an evaluation HD95 takes.
"""

from __future__ import annotations

import argparse
import importlib.util
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
from curette.learn.surface import Definition, hausdorff_by_class

Labels = NDArray[np.uint8]
Pair = tuple[Labels, Labels]
Values = list[NDArray[Any]]
Contestant = Callable[[list[Pair]], Values]
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


def ours(pairs: list[Pair], definition: Definition = "monai") -> Values:
    return [
        hausdorff_by_class(p, t, classes=CLASSES, spacing=(1.0,) * t.ndim, definition=definition)
        for p, t in pairs
    ]


def ours_as_medpy(pairs: list[Pair]) -> Values:
    return ours(pairs, "medpy")


def monai(pairs: list[Pair]) -> Values:
    hot = [
        [torch.from_numpy(np.stack([m == c for c in range(CLASSES)])[None]) for m in pair] for pair in pairs
    ]
    return [compute_hausdorff_distance(p, t, percentile=95, spacing=1.0).numpy()[0] for p, t in hot]


def transform(pairs: list[Pair]) -> Values:
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


def by_mask(distance: Callable[[Any, Any], float]) -> Contestant:
    """A contestant from a function of two masks, one call for each class."""

    def run(pairs: list[Pair]) -> Values:
        return [np.array([distance(p == c, t == c) for c in range(1, CLASSES)]) for p, t in pairs]

    return run


def medpy() -> Contestant:
    from medpy.metric.binary import hd95

    return by_mask(hd95)


def surface_distance() -> Contestant:
    import surface_distance as peer

    def distance(prediction: Any, truth: Any) -> float:
        found = peer.compute_surface_distances(truth, prediction, (1.0,) * truth.ndim)
        return float(peer.compute_robust_hausdorff(found, 95))

    return by_mask(distance)


def contestants() -> dict[str, Contestant]:
    """Everybody who is installed; this library first, in both definitions."""
    found: dict[str, Contestant] = {"curette": ours, "curette as medpy": ours_as_medpy, "MONAI": monai}
    for name, module, make in (
        ("medpy", "medpy", medpy),
        ("surface-distance", "surface_distance", surface_distance),
    ):
        if importlib.util.find_spec(module) is None:
            print(f"{name} is not installed and left out")
        else:
            found[name] = make()
    return found | {"distance transform": transform}


def examples(sides: dict[str, Contestant]) -> None:
    """What each says of the two worked examples, of which MONAI's and medpy's values are known."""
    square, tail = np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8)
    square[2:8, 2:8] = tail[2:8, 2:8] = 1
    tail[8:12, 4] = 1
    shifted = np.roll(square, 1, axis=0)
    for name, pair, known in (
        ("a tail of four pixels", (tail, square), "2.9 (monai), 1.9 (medpy)"),
        ("a square shifted by one", (shifted, square), "1"),
    ):
        for mask in pair:
            mask[0, 0] = 2  # a second class on which all agree, since everybody is asked for two
        said = [f"{side} {run([pair])[0][0]:.4g}" for side, run in sides.items()]
        print(f"{name}: known {known}; {', '.join(said)}")


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def race(name: str, pairs: list[Pair], sides: dict[str, Contestant], rounds: int) -> None:
    found = {side: np.array(run(pairs)) for side, run in sides.items()}
    taken = {side: [] for side in sides}
    for _ in range(rounds):
        for side, run in sides.items():
            taken[side].append(seconds(lambda run=run: run(pairs)))
    print(f"{name}, HD95 {found['curette'].mean():.2f}:")
    for side in sides:
        ms = 1e3 * np.median(taken[side]) / len(pairs)
        own = "curette as medpy" if side == "medpy" else "curette"
        faster = np.median(np.divide(taken[side], taken[own]))
        error = np.max(np.abs(found[side] - found[own]))
        print(f"  {side:20s} {ms:9.2f} ms  x{faster:6.1f} of {own:16s}  largest difference {error:.1e}")


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
    sides = contestants()
    examples(sides)
    truths = hippocampi(given.data, 50)
    for amplitude in (0.5, 1.0, 2.0, 4.0) if truths else ():
        pairs = [(warped(t, amplitude, rng), t) for t in truths]
        race(f"hippocampus, warped by {amplitude}", pairs, sides, given.rounds)
        if amplitude == 1.0:
            share(pairs, given.rounds)
    for shape in ((256, 256), (64, 64, 64), (160, 160, 96)):
        for amplitude in (1.0, 4.0):
            truth = blobs(shape, rng)
            name = f"blobs {'x'.join(map(str, shape))}, warped by {amplitude}"
            race(name, [(warped(truth, amplitude, rng), truth)], sides, given.rounds)


if __name__ == "__main__":
    main()
