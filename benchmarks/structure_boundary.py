"""What the companion of SBC-AL does to the network, and how well its scores follow the real error, on hippocampus slices.

python benchmarks/structure_boundary.py [--slices 100] [--steps 200] [--seeds 2] [--only attention plain]

Each variant, a `unet` with half its usual widths, is trained on the same random slices of the training patients and asked about slices of others. Printed are
Dice (the mean over both parts of the hippocampus of the Dice of all held-out slices together) of what network and companion
say, and of the network alone; the share of the variance of the distance maps that the regressed ones explain; and, over the
slices, Spearman's correlation of the slice's error (1 - mean Dice of its classes) with each form of the scores. Lastly the
milliseconds of a training step, and the share that making the distance maps takes.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from curette.data.datasets import open_dataset
from curette.data.prepare import prepare
from curette.data.prepared import Prepared
from curette.data.splits import split_patients
from curette.learn.columns import Pass
from curette.learn.companions.consistency import boundary_inconsistency, structure_inconsistency
from curette.learn.companions.contract import Accompanied, accompany
from curette.learn.crops import Whole
from curette.learn.distance import inner_distances
from curette.learn.layout import layout
from curette.learn.models import build
from curette.learn.train import expect, train
from curette.query.scorers.consistency import combined, structure_score
from curette.recipe import Data, Prepare, Split, Train
from curette.region import Region
from curette.registry import Bound, bind
from curette.seeds import spawn

ROOT = Path(os.environ.get("CURETTE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
WIDTHS = [8, 16, 32, 64]
VARIANTS = {
    "plain": None,
    "attention": {},
    "sfp_rate=0.01": {"sfp_rate": 0.01},
    "add": {"refine": "add"},
    "concat": {"refine": "concat"},
    "none": {"refine": "none"},
    "coarse=0": {"coarse": 0.0},
    "coarse=0.1": {"coarse": 0.1},
    "distance=0": {"distance": 0.0},
    "distance=0.1": {"distance": 0.1},
    "distance=10": {"distance": 10.0},
    "raw": {"distances": "raw"},
    "outside": {"zero": "outside"},
    "frame": {"frame": True},
}
SCORES = {
    "SCS": {},
    "SCS rescaled": {"distances": "rescaled"},
    "SCS squared Dice": {"dice": "squared"},
    "SCS printed cosine": {"cosine": "printed"},
    "SCS printed, raw": {"cosine": "printed", "distances": "raw"},
    "Q_cos": {"angle": 1.0},
    "Q_dice": {"angle": 0.0},
}


def main() -> None:
    args, prepared, pool, held = arguments(__doc__, list(VARIANTS))
    for seed in range(args.seeds):
        for variant in args.only:
            regions = few(pool, args.slices, seed)
            network, ms, share = fit(prepared, regions, VARIANTS[variant], args.steps, seed)
            facts = look(network, prepared, held)
            print(f"\n{variant}, seed {seed}: {ms:.0f} ms a step, {share:.1%} of it for distance maps")
            print("  " + "  ".join(f"{name} {value:.3f}" for name, value in facts.items()), flush=True)


def arguments(
    what: str | None, variants: list[str]
) -> tuple[argparse.Namespace, Prepared, list[Region], list[Region]]:
    """The command line, and hippocampus slices: those to draw from, and every third of 50 other patients."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=variants, choices=variants)
    args = parser.parse_args()
    data = Data(dataset="msd", root=ROOT / "Task04_Hippocampus", unit="slice")
    if not data.root or not data.root.is_dir():
        print(
            f"skipped: there is no {data.root}; set CURETTE_DATA to the folder that holds Task04_Hippocampus"
        )
        raise SystemExit(0)
    torch.set_num_threads(1)
    dataset = open_dataset(data)
    prepared = prepare(dataset, data, Prepare())
    splits = split_patients(prepared.kept(dataset), Split(train=200, val=10, test=50))
    return args, prepared, prepared.regions(splits.train), prepared.regions(splits.test)[::3]


def few(pool: list[Region], count: int, seed: int) -> list[Region]:
    """The slices that every variant of a seed is trained on."""
    return [pool[i] for i in spawn(seed, 0, "few labels").permutation(len(pool))[:count]]


def fit(
    prepared: Prepared, regions: list[Region], options: dict[str, object] | None, steps: int, seed: int
) -> tuple[nn.Module, float, float]:
    """A network trained on these slices, the milliseconds of a step, and the share of them that distance maps take."""
    task, settings = prepared.unit_task, Train(steps=steps, lr=3e-3, options={"widths": WIDTHS})
    company = [] if options is None else [bind("companion", "structure_boundary", **options)]
    network, samples = begin(prepared, regions, company, settings, seed)
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    began = time.perf_counter()
    train(network, samples, task, settings, fabric, seed=seed)
    each = (time.perf_counter() - began) / steps
    batch = samples.labels[: settings.batch]
    began = time.perf_counter()
    for _ in range(20):
        inner_distances(batch, len(task.classes), ignore=task.ignore)
    share = (time.perf_counter() - began) / 20 / each if options is not None else 0.0
    return network, 1000 * each, share


def begin(
    prepared: Prepared, regions: list[Region], company: list[Bound], settings: Train, seed: int
) -> tuple[nn.Module, Whole]:
    """A new network in this company, and what it is to be trained on."""
    task = prepared.unit_task
    torch.manual_seed(seed)
    network = accompany(build(task, prepared.channels, settings), company, task, prepared.channels)
    answers = prepared.labels(regions)
    images = torch.from_numpy(prepared.batch(regions)[0])
    labels = torch.from_numpy(np.stack([answers[r] for r in regions]).astype(np.int64))
    samples = Whole(images, labels, task)
    expect(network, samples.counts)
    return network, samples


def look(network: nn.Module, prepared: Prepared, regions: list[Region]) -> dict[str, float]:
    """Dice and correlations on held-out slices."""
    classes = len(prepared.unit_task.classes)
    tables: dict[str, list[NDArray[np.float64]]] = {}
    for start in range(0, len(regions), 64):
        part = regions[start : start + 64]
        answers = prepared.labels(part)
        truth = torch.from_numpy(np.stack([answers[r] for r in part]).astype(np.int64))
        with torch.inference_mode():
            for name, value in _facts(network, prepared, part, truth, classes).items():
                tables.setdefault(name, []).append(value.double().numpy())
    found = {name: np.concatenate(parts) for name, parts in tables.items()}
    result = {"Dice": pooled(found["refined"])}
    error, entropy = 1 - _by_slice(found["refined"]), found["entropy"]
    result["entropy~error"] = spearmanr(entropy, error)[0]
    if "coarse" not in found:
        return result
    result["Dice of the network alone"] = pooled(found["coarse"])
    result["explained"] = 1 - found["apart"].mean() / found["spread"].mean()
    scores = {
        name: structure_score(
            found["structure"],
            **{"angle": 0.6, "cosine": "scale_free", "dice": "printed", "distances": "normalised", **how},
        )
        for name, how in SCORES.items()
    }
    bcs = found["boundary"]
    scores |= {
        "BCS": bcs[:, 0],
        "CS minmax": combined(scores["SCS"], bcs[:, 0], 0.8, stretch=True),
        "CS diagonal": combined(scores["SCS"], bcs[:, 1], 0.8, stretch=False),
        "CS printed": combined(scores["SCS printed, raw"], bcs[:, 0], 0.8, stretch=False),
        "CS printed, normalised": combined(scores["SCS printed cosine"], bcs[:, 0], 0.8, stretch=False),
    }
    return result | {
        f"{name}~error": spearmanr(score, error)[0] if np.ptp(score) else np.nan
        for name, score in scores.items()
    }


def _facts(
    network: nn.Module, prepared: Prepared, part: list[Region], truth: torch.Tensor, classes: int
) -> dict[str, torch.Tensor]:
    images, valid = prepared.batch(part)
    x = layout(torch.from_numpy(images))
    inside = None if valid is None else torch.from_numpy(valid)
    if isinstance(network, Accompanied):
        network.keep = True
    logits = network(x)
    p = logits.softmax(1)
    found = {"refined": overlap(logits, truth, classes)}
    found["entropy"] = -(p * p.clamp_min(1e-30).log()).sum(1).flatten(1).mean(1)
    if isinstance(network, Accompanied):
        said = network.outputs()
        seen = Pass(x, p, logits, inside, outputs=said)
        found["coarse"] = overlap(said["coarse"], truth, classes)
        found["structure"], found["boundary"] = structure_inconsistency(seen), boundary_inconsistency(seen)
        target = network.companions["structure_boundary"].measured(truth)
        found["apart"] = (said["distances"] - target).square().flatten(1).mean(1)
        found["spread"] = (target - target.mean((0, 2, 3), keepdim=True)).square().flatten(1).mean(1)
    return found


def overlap(logits: torch.Tensor, truth: torch.Tensor, classes: int) -> torch.Tensor:
    """Pixels in both, and in each together, of every foreground class, [B, C - 1, 2]."""
    named = torch.arange(1, classes)[:, None, None]
    a, b = logits.argmax(1)[:, None] == named, truth[:, None] == named
    return torch.stack([2 * (a & b).sum((2, 3)), a.sum((2, 3)) + b.sum((2, 3))], dim=2)


def pooled(overlap: NDArray[np.float64]) -> float:
    both, size = overlap.sum(axis=0).T
    return float((both / size).mean())


def _by_slice(overlap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean Dice of each slice's classes, 1 for a class that is nowhere."""
    both, size = overlap[..., 0], overlap[..., 1]
    return np.divide(both, size, out=np.ones_like(both), where=size > 0).mean(axis=1)


if __name__ == "__main__":
    main()
