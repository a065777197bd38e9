"""Draw the pictures of the strategy pages: what each scorer wants in a slice, which parts of it are
offered, and what each selector picks in a plane.

    python docs/pictures.py [--steps 150] [--only NAME …]

Trains a small network on the phantom and, if CURETTE_DATA holds Task04_Hippocampus, on slices of it; takes about a minute.
Pictures go to docs/img/maps, docs/img/parts and docs/img/picks; those of components that are no more are deleted.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curette.bench.gallery import Gallery
from curette.bench.jobs import torch_learner
from curette.bench.thumbnails import strip
from curette.data.datasets import open_dataset
from curette.data.prepare import prepare
from curette.errors import CuretteError
from curette.learn.learner import Assignment
from curette.query.candidates import Candidates, Labelled
from curette.query.facts import named
from curette.query.occasion import Occasion
from curette.query.scoring import rescored
from curette.query.select import select
from curette.query.strategy import Strategy, parse_strategy
from curette.query.sweep import maps, sweep
from curette.recipe import parse_study
from curette.region import Region
from curette.registry import Component, bind, components

IMG = Path(__file__).resolve().parent / "img"
DATA = Path(os.environ.get("CURETTE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
MEMBERS = 3
"""Networks trained for scorers that ask an ensemble; more would only take longer."""
HEIGHT = 128
"""Pixels of a slice in a picture."""
LIMIT = 20_000
"""Most bytes of a picture."""


@dataclass(frozen=True)
class Bench:
    """A trained model and its labels, the slice it is looked at with, and others; `upright`: stored in anatomical axes."""

    learner: Any
    labels: dict[Region, NDArray[Any]]
    model: Any
    prepared: Any
    region: Region
    others: tuple[Region, ...]
    upright: bool

    def asked(self, strategy: Strategy) -> Bench:
        """With a model that was trained with what the strategy has trained along."""
        if not strategy.companions:
            return self
        assignment = Assignment(companions=strategy.companions)
        return replace(self, model=self.learner.fit(self.labels, seed=0, assignment=assignment))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=150, help="training steps of a network")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="only these parts")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    for folder in ("maps", "picks", "parts"):
        (IMG / folder).mkdir(parents=True, exist_ok=True)
    scorers = {n: c for n, c in components("scorer").items() if n != "none"}
    if not given.only:
        tidy("maps", scorers)
        tidy("picks", components("selector"))
        tidy("parts", components("granularity"))
    wanted = {n: c for n, c in scorers.items() if n in given.only or not given.only}
    dense = [n for n, c in wanted.items() if not c.info.get("pool")]
    shapes = [n for n, c in components("granularity").items() if c.info.get("part") and "examples" in c.info]
    shapes = [n for n in shapes if n in given.only or not given.only]
    if dense or shapes:
        benches = list(open_benches(given.steps))
        for name in dense:
            attempt(name, lambda name=name: draw_map(benches, name))
        for name in shapes:
            attempt(name, lambda name=name: draw_parts(benches, name))
    for name, component in wanted.items():
        if component.info.get("pool"):
            attempt(name, lambda name=name: draw_plane(name, pool_scorer=True))
    for name in components("selector"):
        if name in given.only or not given.only:
            attempt(name, lambda name=name: draw_plane(name))


def tidy(folder: str, known: dict[str, Component]) -> None:
    for old in (IMG / folder).glob("*.png"):
        if old.stem not in known:
            old.unlink()


def attempt(name: str, draw: Any) -> None:
    """Draw one picture, or say why there is none."""
    try:
        path = draw()
        print(f"{path.relative_to(IMG)}: {path.stat().st_size / 1000:.1f} KB")
    except CuretteError as problem:
        print(f"no picture of {name}: {problem}")


# Maps of scorers.


def open_benches(steps: int) -> Iterator[Bench]:
    yield bench({"dataset": "phantom", "options": {"patients": 24}, "unit": "slice"}, steps, upright=False)
    root = DATA / "Task04_Hippocampus"
    if root.is_dir():
        yield bench({"dataset": "msd", "root": str(root), "unit": "slice"}, steps, upright=True)
    else:
        print(f"no pictures of the hippocampus: there is no {root}; set CURETTE_DATA")


def bench(data: dict[str, Any], steps: int, *, upright: bool) -> Bench:
    """Train on sixteen slices, and find a slice of another case with as many classes and as much foreground as can be."""
    study = parse_study({"strategies": ["random"], "data": data, "train": {"steps": steps}})
    prepared = prepare(open_dataset(study.data), study.data, study.prepare)
    cases = [c for c in prepared.case_ids if prepared.has_label(c)][:40]
    pool = prepared.regions(cases[: len(cases) // 2])
    labels = prepared.labels(pool)
    rng = np.random.default_rng(0)
    full = [r for r in pool if len(np.unique(labels[r])) > 1]
    shown = [full[i] for i in rng.choice(len(full), 16, replace=False)]
    learner = torch_learner(study, prepared)
    known = {r: labels[r] for r in shown}
    model = learner.fit(known, seed=0, members=MEMBERS)
    rest = prepared.regions(cases[len(cases) // 2 :])
    truth = prepared.labels(rest)
    best = max(rest, key=lambda r: (len(np.unique(truth[r])), np.count_nonzero(truth[r])))
    others = tuple(r for r in rest if np.count_nonzero(truth[r]) > 0)[:60]
    return Bench(learner, known, model, prepared, best, others, upright)


def draw_map(benches: Sequence[Bench], name: str) -> Path:
    """Image with truth, image with prediction and map, a line for each data set.

    Of a score that is one number a region: the least and the most wanted slice, without a map.
    """
    strategy = asking(name)
    lines = [map_line(one.asked(strategy), strategy) for one in benches]
    width = max(line.shape[1] for line in lines)
    lines = [
        np.pad(line, ((0, 6), (0, width - line.shape[1]), (0, 0)), constant_values=255) for line in lines
    ]
    return save(np.concatenate(lines)[:-6], IMG / "maps" / f"{name}.png", colours=96)


def asking(name: str) -> Strategy:
    """A strategy that measures with this scorer, asking as the first preset with it does, as far as there are networks."""
    users = [f.strategy for f in named() if f.strategy.scorer.name == name and f.networks]
    if users and users[0].members <= MEMBERS:
        return users[0]
    if users and users[0].members > MEMBERS and (name_of := users[0].passes.name):
        return parse_strategy(f"{name_of}({MEMBERS}) > {users[0].scorer} > top")
    many = components("scorer")[name].info.get("min_passes", 1) > 1
    return parse_strategy(f"{'dropout(10)' if many else 'single'} > {name} > top")


def map_line(one: Bench, strategy: Strategy) -> NDArray[np.uint8]:
    classes, scores = maps(one.learner, one.model, [one.region], strategy, seed=0)
    if scores is not None:
        return panels(one, strategy, one.region, classes, scores)
    least, most = extremes(one, strategy)
    shown = [
        panels(one, strategy, r, maps(one.learner, one.model, [r], strategy, seed=0)[0])
        for r in (least, most)
    ]
    gap = np.full((HEIGHT, 12, 3), 255, np.uint8)
    return np.concatenate([shown[0], gap, shown[1]], axis=1)


def extremes(one: Bench, strategy: Strategy) -> tuple[Region, Region]:
    """The least and the most wanted of the other slices."""
    patient = {region.case: i for i, region in enumerate(one.others)}
    task = one.prepared.task
    found = sweep(one.learner, one.model, one.others, [strategy], seed=0, patient=patient, task=task)[
        strategy
    ]
    order = np.argsort(found.score, kind="stable")
    return found.regions[order[0]], found.regions[order[-1]]


def panels(
    one: Bench,
    strategy: Strategy,
    region: Region,
    classes: NDArray[np.uint8],
    scores: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """A slice with the true outlines, with the predicted ones, and its map if there is one."""
    image = one.prepared.batch([region])[0]
    gallery = Gallery(
        strategy.name,
        0,
        0,
        (str(region),),
        np.zeros(1, np.float32),
        (np.clip(image, 0, 1) * 255).astype(np.uint8),
        np.stack([one.prepared.labels([region])[region]]).astype(np.uint8),
        classes,
        scores,
    )
    url, _, _ = strip(gallery, 0, upright=one.upright)
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")
    scale = HEIGHT / picture.height
    return np.asarray(picture.resize((round(picture.width * scale), HEIGHT), Image.Resampling.LANCZOS))


# Parts of a slice.

PARTS = 8
"""Parts that are shown of a slice, those of highest score."""


def draw_parts(benches: Sequence[Bench], name: str) -> Path:
    """Image, and map of entropy, with the parts of highest score outlined: a line for each data set."""
    from matplotlib import pyplot as plt

    text = components("granularity")[name].info["examples"][0]
    strategy = parse_strategy(f"single > entropy > {text} > top")
    figure, axes = plt.subplots(
        len(benches), 2, figsize=(4.8, 2.2 * len(benches)), dpi=100, squeeze=False, constrained_layout=True
    )
    for row, one in zip(axes, benches, strict=True):
        _, scores = maps(one.learner, one.model, [one.region], strategy, seed=0)
        assert scores is not None
        found = sweep(
            one.learner,
            one.model,
            [one.region],
            [strategy],
            seed=0,
            patient={one.region.case: 0},
            task=one.prepared.task,
            occasion=Occasion(extent=one.prepared.extent, spacing=one.prepared.unit_spacing),
        )[strategy]
        best = [found.regions[i] for i in np.argsort(-found.score, kind="stable")[:PARTS]]
        for panel, shown, colours in zip(
            row, (one.prepared.batch([one.region])[0][0, 0], scores[0]), ("gray", "magma"), strict=True
        ):
            panel.imshow(upright(shown, one), cmap=colours, interpolation="nearest")
            for region in best:
                inside = np.zeros(shown.shape)
                inside[region.slices] = region.mask
                panel.contour(upright(inside, one), levels=[0.5], colors="#ffd148", linewidths=1)
            panel.set(xticks=[], yticks=[])
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    plt.close(figure)
    return save(pixels, IMG / "parts" / f"{name}.png", colours=96)


def upright(array: NDArray[Any], one: Bench) -> NDArray[Any]:
    """A slice as a radiologist sees it, where its axes are anatomical."""
    return array.T[::-1, ::-1] if one.upright else array


# Picks in a plane.

CENTRES = np.array([[-2.0, 0.5], [2.0, 1.0], [0.3, -2.2]], np.float32)


def plane() -> tuple[Candidates, Labelled]:
    """Pool and labelled set of 2D points: two large clouds, a small one, a clump of near-duplicates, some outliers."""
    rng = np.random.default_rng(3)
    clouds = [
        CENTRES[0] + rng.normal(0, 0.75, (150, 2)),
        CENTRES[1] + rng.normal(0, 0.65, (120, 2)),
        CENTRES[2] + rng.normal(0, 0.35, (24, 2)),
        np.array([0.1, 0.75]) + rng.normal(0, 0.05, (16, 2)),
        np.array([[4.8, -2.6], [-4.6, 3.0], [4.3, 3.4]]),
    ]
    z = np.concatenate(clouds).astype(np.float32)
    done = rng.choice(270, 6, replace=False)
    left = np.setdiff1d(np.arange(len(z)), done)
    jitter = rng.normal(0, 0.35, (8, 1, *CENTRES.shape))
    away = ((z[None, :, None] - (CENTRES + jitter)) ** 2).sum(axis=-1)
    members = np.exp(-away) / np.exp(-away).sum(axis=-1, keepdims=True)
    members = np.ascontiguousarray(members.swapaxes(0, 1)).astype(np.float32)  # [N, T, C]
    mean = members.mean(axis=1)
    score = -(mean * np.log(mean + 1e-12)).sum(axis=1)
    delta = mean - np.eye(3, dtype=np.float32)[mean.argmax(axis=1)]
    gradient = (delta[:, :, None] * z[:, None, :]).reshape(len(z), -1).astype(np.float32)
    grid = np.linspace(-5, 5, 8)
    bump = np.exp(
        -((grid[None, :, None] - z[:, :1, None]) ** 2 + (grid[None, None] - z[:, 1:, None]) ** 2) / 4
    )
    logits = np.log(mean + 1e-12)
    # Images of a single pixel whose class is sure, and whose distance map says what the members say.
    shape = np.eye(3, dtype=np.float32)[mean.argmax(axis=1)]
    terms = (shape * mean, shape**2, mean**2, shape, mean, shape, mean)
    columns = {
        "structure_inconsistency": np.stack(terms, axis=-1)[:, None],
        "boundary_inconsistency": members.std(axis=1).max(axis=1)[:, None, None].repeat(2, axis=2),
        "probabilities": mean,
        "members": members,
        "gradient": gradient,
        "thumbnail": bump[:, None].astype(np.float32),
        "samples": np.concatenate([np.zeros((len(z), 1)), z, logits], axis=1)[:, None].astype(np.float32),
        "class_score": np.concatenate([score[:, None], score[:, None] * mean], axis=1).astype(np.float32),
        "truth": np.eye(3, dtype=np.float32)[mean.argmax(axis=1)],
    }
    patient = (np.arange(len(z)) // 8).astype(np.int32)
    regions = [Region(f"case{p:03d}", 2, i) for i, p in enumerate(patient)]
    label = mean.argmax(axis=1)
    pool = Candidates(
        [regions[i] for i in left],
        score[left].astype(np.float32),
        patient[left],
        label[left].astype(np.int32),
        np.ones(len(left), np.float32),
        z[left],
        {name: column[left] for name, column in columns.items()},
    )
    known = {regions[i]: np.full((4, 4), label[i]) for i in done}
    seen = Labelled(
        [regions[i] for i in done],
        patient[done],
        z[done],
        {name: column[done] for name, column in columns.items()},
        known,
    )
    return pool, seen


def draw_plane(name: str, *, pool_scorer: bool = False) -> Path:
    """Pool shaded by score, labelled set, and the picks in their order."""
    from matplotlib import pyplot as plt

    pool, seen = plane()
    text, order = example("scorer" if pool_scorer else "selector", name), np.empty(0, np.int64)
    rng = np.random.default_rng(0)
    if pool_scorer:
        pool = rescored(bind("scorer", name), pool, rng, seen)
    else:
        order = select(parse_strategy(f"dropout(10) > entropy > {text}"), pool, 9, rng, seen)
    z, done = np.asarray(pool.embedding), np.asarray(seen.embedding)
    figure, axes = plt.subplots(figsize=(4.2, 3), dpi=100)
    axes.scatter(*z.T, c=np.argsort(np.argsort(pool.score)), cmap="YlGnBu", s=14, linewidths=0)
    axes.scatter(*done.T, marker="x", c="black", s=34, linewidths=1.4)
    for rank, (x, y) in enumerate(z[order], start=1):
        axes.plot(x, y, "o", mfc="none", mec="#d62728", ms=11, mew=1.3)
        axes.annotate(
            str(rank), (x, y), xytext=(6, 5), textcoords="offset points", color="#d62728", fontsize=9
        )
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_color("#bbbbbb")
    figure.tight_layout(pad=0.3)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    plt.close(figure)
    return save(pixels, IMG / ("maps" if pool_scorer else "picks") / f"{name}.png", colours=48)


def example(kind: str, name: str) -> str:
    """The component as one writes it: with its defaults, or, where an option has none, its first example."""
    component = components(kind)[name]
    try:
        return str(bind(kind, name))
    except CuretteError:
        return str(component.info.get("examples", (name,))[0])


def save(pixels: NDArray[np.uint8], path: Path, colours: int) -> Path:
    """Write a PNG with as many colours as `LIMIT` leaves room for."""
    while colours > 8:
        # By coverage, as few pixels of a map are bright, and these matter.
        few = Image.fromarray(pixels).quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
        if path.stat().st_size <= LIMIT:
            break
        colours = colours * 2 // 3
    return path


if __name__ == "__main__":
    main()
