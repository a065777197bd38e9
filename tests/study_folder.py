"""Study folders as `curette run` leaves them, made up in milliseconds: tables, settings, facts and galleries."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from curette.bench.facts import Facts, write_facts
from curette.bench.gallery import save_gallery
from curette.recipe import Study, dump_study, parse_study

GAIN = {"entropy": 0.02, "bald": 0.035, "core_set": -0.01, "margin": 0.03}


def make_study(
    strategies: Sequence[str] = ("random", "entropy", "bald", "core_set"),
    seeds: Sequence[int] = (0, 1, 2),
    cycles: int = 5,
    unit: str = "slice",
) -> Study:
    return parse_study(
        {
            "name": "made-up",
            "strategies": list(strategies),
            "seeds": list(seeds),
            "data": {"dataset": "phantom", "unit": unit},
            "query": {"initial": 10, "budget": 5, "cycles": cycles},
        }
    )


def value(strategy: str, seed: int, cycle: int, cls: str) -> float:
    """A Dice that rises with the budget; strategies differ from cycle 1 on, seeds and classes always."""
    noise = np.random.default_rng([seed, cycle, *strategy.encode()]).normal(0, 0.006) if cycle else 0.0
    gain = GAIN.get(strategy, 0.0) * min(cycle, 2) / 2
    level = {"mean": 0.0, "cortex": 0.06, "nodule": -0.06}.get(cls, 0.0)
    return 0.55 + 0.25 * (1 - np.exp(-cycle / 2)) + gain + noise + level + 0.012 * seed


def write_folder(
    folder: Path,
    study: Study | None = None,
    *,
    classification: bool = False,
    pictures: bool = True,
    reached: Callable[[str, int], int] | None = None,
) -> Path:
    """Write the folder of `study`; `reached` gives how many trainings of a (strategy, seed) are done."""
    study = study or make_study()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(dump_study(study), encoding="utf-8")
    classes = ("healthy", "ill") if classification else ("background", "cortex", "nodule")
    metrics = ("accuracy", "auroc") if classification else ("dice_2d", "dice_3d", "hd95_mm")
    results, picks, timings = [], [], []
    for strategy in study.strategies:
        for seed in study.seeds:
            for cycle in range(reached(strategy, seed) if reached else study.query.cycles):
                labelled = study.query.initial + cycle * study.query.budget
                for metric in metrics:
                    for cls in ("mean", *(classes if classification else classes[1:])):
                        dice = value(strategy, seed, cycle, cls)
                        shown = 12 * (1 - dice) if metric == "hd95_mm" else dice
                        results.append((strategy, seed, cycle, labelled, metric, cls, shown))
                timings += [
                    (strategy, seed, cycle, "train", 21.5, 812),
                    (strategy, seed, cycle, "measure", 4.2, 700),
                ]
                if cycle:
                    timings += [
                        (strategy, seed, cycle, "sweep", 6.25, 903.5),
                        (strategy, seed, cycle, "select", 0.03, ""),
                    ]
                    picks += _picks(folder, study, strategy, seed, cycle, classes, pictures)
    _write(folder / "results.csv", "strategy seed cycle labelled metric class value", results)
    _write(folder / "picks.csv", "strategy seed cycle rank region score", picks)
    _write(folder / "timings.csv", "strategy seed cycle stage seconds peak_mb", timings)
    kind = "classification" if classification else "segmentation"
    parts = {"train": (20, 20), "val": (0, 0), "test": (9, 8)}
    write_facts(folder, Facts("phantom", "Apache-2.0", "made up", kind, 2, classes, ("MR",), parts))
    return folder


def _picks(
    folder: Path, study: Study, strategy: str, seed: int, cycle: int, classes: tuple[str, ...], pictures: bool
) -> list[tuple[object, ...]]:
    n, slices = study.query.budget, "background" in classes
    rng = np.random.default_rng([seed, cycle, *strategy.encode()])
    regions = [f"p{i % 7:02d}x{cycle}" + (f"@z={i + cycle}" if slices else "") for i in range(n)]
    plain = strategy == "random"
    scores = np.full(n, np.nan) if plain else np.sort(rng.random(n))[::-1]
    if pictures:
        image, truth, prediction, maps = draw(n, rng)
        if not slices:
            truth, prediction = rng.integers(0, 2, (2, n))
        shown = maps if slices and not plain else None
        place = (folder, strategy, seed, cycle)
        save_gallery(*place, regions, scores, image, truth, prediction, shown, classes=classes)
    return [
        (strategy, seed, cycle, rank, region, "" if plain else score)
        for rank, (region, score) in enumerate(zip(regions, scores, strict=True))
    ]


def draw(n: int, rng: np.random.Generator, size: tuple[int, int] = (48, 64)) -> tuple[np.ndarray, ...]:
    """n images [n, 1, H, W] of a disc with a smaller one in it, truth, a shifted prediction, and a score map."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")
    images, truths, predictions, maps = [], [], [], []
    for _ in range(n):
        cx, cy = rng.uniform(0.4, 0.6, 2) * size
        radius = rng.uniform(0.2, 0.35) * size[0]
        distance = np.hypot(x - cx, y - cy)
        truth = (distance < radius).astype(np.uint8) + (np.hypot(x - cx - 3, y - cy + 4) < radius / 3)
        prediction = np.roll(truth, (2, -1), (0, 1))
        images.append(np.clip(0.15 + 0.3 * truth + rng.normal(0, 0.05, size), 0, 1)[None])
        truths.append(truth)
        predictions.append(prediction)
        maps.append(np.exp(-(((distance - radius) / 3) ** 2)) * rng.uniform(0.4, 0.7))
    return (
        np.stack(images).astype(np.float32),
        np.stack(truths),
        np.stack(predictions),
        np.stack(maps).astype(np.float32),
    )


def _write(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header.split())
        writer.writerows(rows)
