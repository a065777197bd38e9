"""Stand-ins for data and learner: small, deterministic, NumPy only, and true to the contracts.

`FakeImages` is a prepared data set made from a seed; `FakeLearner` learns the mean intensity of each class and calls a
pixel after the nearest one. More labels give better means, so learning curves rise and strategies differ.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import DataError
from curette.learn.columns import Pass, combined, wanted
from curette.learn.encoders import Encoding, rows, trained
from curette.learn.learner import NOTHING_MORE, Assignment
from curette.learn.passes import count
from curette.learn.prediction import Prediction
from curette.region import Region
from curette.registry import Bound
from curette.task import Task

SEGMENTATION = Task(kind="segmentation", dims=2, classes={"background": 0, "body": 1, "core": 2})
VOLUMES = Task(kind="segmentation", dims=3, classes={"background": 0, "body": 1, "core": 2})
CLASSIFICATION = Task(kind="classification", dims=2, classes={"healthy": 0, "ill": 1, "worse": 2})


class FakeImages:
    """Prepared images of `patients` volumes of `depth` slices (segmentation) or as many images (classification).

    Units are slices for a task of two dimensions, whole volumes for one of three.
    A body of one intensity holds a core of another; noise and the core's size differ from patient to patient. Has all
    that `curette.data.prepare.Prepared` promises. Case ids are ``p00``, ``p01`` …; every case is its own patient.
    """

    def __init__(
        self, task: Task = SEGMENTATION, *, patients: int = 6, depth: int = 8, side: int = 16, seed: int = 0
    ) -> None:
        self.task = task
        self.size = (side, side) if task.dims == 2 else (side, side, depth)
        self.channels = 1
        self.digest = hashlib.sha256(repr((task.kind, patients, depth, side, seed)).encode()).hexdigest()[:16]
        self.case_ids = tuple(f"p{i:02d}" for i in range(patients))
        self._depth = depth if task.kind == "segmentation" else 0
        self._slices = self._depth > 0 and task.dims == 2
        made = [_volume(task, depth, side, seed * 1000 + i) for i in range(patients)]
        self._image = {c: image for c, (image, _) in zip(self.case_ids, made, strict=True)}
        self._truth = {c: truth for c, (_, truth) in zip(self.case_ids, made, strict=True)}

    def regions(self, case_ids: Sequence[str]) -> list[Region]:
        if not self._slices:
            return [Region(c) for c in sorted(case_ids)]
        return [Region(c, 2, z) for c in sorted(case_ids) for z in range(self._depth)]

    def batch(self, regions: Sequence[Region]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        return np.stack([self._cut(self._image, r) for r in regions])[:, None].astype(np.float32), None

    def labels(self, regions: Sequence[Region]) -> dict[Region, NDArray[Any]]:
        return {r: self._answer(r) for r in regions}

    def _answer(self, region: Region) -> NDArray[np.uint8]:
        label = np.array(self._cut(self._truth, region.unit), dtype=np.uint8)[region.slices]
        return np.where(region.mask, label, np.uint8(self.task.ignore)) if region.runs else label

    def has_label(self, case_id: str) -> bool:
        return case_id in self._truth

    def patient(self, case_id: str) -> str:
        return f"patient-{case_id}"

    def restore(self, case_id: str, stack: NDArray[Any]) -> NDArray[Any]:
        return np.moveaxis(stack, 0, -1) if self._slices else stack[0]

    def truth(self, case_id: str) -> Any:
        truth = self._truth[case_id]
        return truth if self._depth else int(truth)

    def unit_spacing(self, unit: Region) -> tuple[float, ...]:
        return (1.0,) * len(self.size)

    def spacing(self, case_id: str) -> tuple[float, ...]:
        return (1.0, 1.0, 1.0) if self._depth else (1.0, 1.0)

    def _cut(self, arrays: Mapping[str, NDArray[Any]], region: Region) -> NDArray[Any]:
        assert not region.box, "learners see whole units"
        array = arrays[region.case]
        return array if region.axis < 0 else np.take(array, region.index, axis=region.axis)


def _volume(task: Task, depth: int, side: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    if task.kind == "classification":
        target = seed % len(task.classes)
        image = rng.normal(target / len(task.classes), 0.3, (side, side))
        return image.astype(np.float32), np.array(target, dtype=np.uint8)
    x, y, z = np.meshgrid(np.arange(side), np.arange(side), np.arange(depth), indexing="ij")
    height = np.abs(z - (depth - 1) / 2) / (depth / 2)
    distance = np.hypot(x - side / 2, y - side / 2) / side
    truth = np.zeros((side, side, depth), np.uint8)
    truth[distance < 0.4 * (1 - 0.6 * height)] = 1
    core = rng.uniform(0.15, 0.25)
    for c in range(2, len(task.classes)):
        truth[distance < core * (1 - height) / (c - 1)] = c
    image = truth / (len(task.classes) - 1) + rng.normal(0, rng.uniform(0.1, 0.3), truth.shape)
    return image.astype(np.float32), truth


@dataclass(frozen=True)
class FakeModel:
    """One row of class means per member."""

    means: tuple[tuple[float, ...], ...]
    sharpness: float = 8.0

    @property
    def members(self) -> int:
        return len(self.means)


class FakeLearner:
    """Implements `curette.learn.learner.Learner` over anything that has `batch`.

    `fits`, `sweeps` and `encodings` count what it was asked to do, and `assignments` keeps what came with the labels. Dropout and ensemble members differ by seeded shifts of the
    means, flips by a term that depends on the position; nothing depends on the batch size.
    """

    def __init__(self, task: Task, images: Any, batch: int = 8) -> None:
        self.task, self.images, self.size = task, images, batch
        self.fits = self.sweeps = self.encodings = 0
        self.assignments: list[Assignment] = []

    def fit(
        self,
        labels: Mapping[Region, NDArray[Any]],
        *,
        seed: int,
        members: int = 1,
        start: FakeModel | None = None,
        assignment: Assignment = NOTHING_MORE,
    ) -> FakeModel:
        self.fits += 1
        self.assignments.append(assignment)
        labels = {**assignment.taught, **labels}
        regions = sorted(labels)
        x = np.concatenate([self._pixels(r, labels[r].size) for r in regions])
        y = np.concatenate([labels[r].ravel() for r in regions])
        classes = len(self.task.classes)
        guess = np.linspace(0, 1, classes)
        rows = []
        for member in range(members):
            noise = np.random.default_rng([seed, member]).normal(0, 0.3 / np.sqrt(len(regions)), classes)
            means = [float(x[y == c].mean()) if (y == c).any() else float(guess[c]) for c in range(classes)]
            rows.append(tuple(float(v) for v in np.add(means, noise)))
        return FakeModel(tuple(rows))

    def predict(
        self,
        model: FakeModel,
        regions: Sequence[Region],
        passes: Bound,
        needs: frozenset[str],
        *,
        seed: int,
    ) -> Iterator[Prediction]:
        self.sweeps += 1
        for start in range(0, len(regions), self.size):
            chunk = list(regions[start : start + self.size])
            image, valid = self.images.batch(chunk)
            logits = np.stack(list(self._members(model, image, chunk, passes, seed)))
            yield _accumulate(chunk, image, valid, logits, needs)

    def encode(self, regions: Sequence[Region], passes: Bound, *, seed: int) -> NDArray[np.float32]:
        """What an encoder would train is here the moments of the images, mixed by the seed."""
        self.encodings += 1
        if not trained(passes):
            return rows(passes(Encoding(self.images, regions, seed)), passes, len(regions))
        flat = self.images.batch(list(regions))[0].reshape(len(regions), -1)
        moments = np.stack([flat.mean(1), flat.std(1), flat.min(1), flat.max(1)], axis=1)
        return (moments @ np.random.default_rng(seed).normal(0, 1, (4, 4))).astype(np.float32)

    def save(self, model: FakeModel, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"means": model.means, "sharpness": model.sharpness}))
        os.replace(part, path)

    def load(self, path: Path) -> FakeModel:
        try:
            kept = json.loads(path.read_text())
        except (OSError, ValueError) as problem:
            raise DataError(f"The model {path} cannot be read: {problem}. Train it again.") from None
        return FakeModel(tuple(map(tuple, kept["means"])), kept["sharpness"])

    def _pixels(self, region: Region, count: int) -> NDArray[np.float64]:
        image = self.images.batch([region])[0][0, 0].astype(np.float64)
        return image.ravel() if count > 1 else image.mean(keepdims=True).ravel()

    def _members(
        self, model: FakeModel, image: NDArray[Any], regions: list[Region], passes: Bound, seed: int
    ) -> Iterator[NDArray[np.float64]]:
        made = count(passes)
        assert made is not None
        while isinstance(inner := passes.settings.get("passes"), Bound):  # windows of other passes
            passes = inner
        x = image[:, 0].astype(np.float64)
        if self.task.kind == "classification":
            x = x.mean(axis=(1, 2))
        slope = np.linspace(0, 0.1, x.shape[-1]) if x.ndim > 1 else np.full(1, 0.05)
        for t in range(made):
            row = np.array(model.means[t if passes.name == "ensemble" else 0])
            shift = np.zeros((len(regions), len(row)))
            if passes.name.endswith("dropout"):
                whose = ["all"] * len(regions) if passes.name == "consistent_dropout" else regions
                seeds = [
                    int.from_bytes(hashlib.sha256(f"{r}|{seed}|{t}".encode()).digest()[:4]) for r in whose
                ]
                shift = np.stack([np.random.default_rng(s).normal(0, 0.05, len(row)) for s in seeds])
            tilt = slope if passes.name in ("flips", "rotations", "augment") and t % 2 else 0.0
            centres = (row + shift).reshape(len(regions), -1, *[1] * (x.ndim - 1))
            yield -model.sharpness * (x[:, None] + tilt - centres) ** 2


def _accumulate(
    regions: list[Region],
    image: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    logits: NDArray[np.float64],
    needs: frozenset[str],
) -> Prediction:
    p = np.exp(logits - logits.max(axis=2, keepdims=True))
    p /= p.sum(axis=2, keepdims=True)
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(axis=2)
    flat = image.reshape(len(regions), -1)
    fields = {
        "member_entropy": entropy.mean(axis=0),
        "second_moment": (p**2).mean(axis=0),
        "votes": np.moveaxis(np.eye(p.shape[2])[p.argmax(axis=2)], -1, 2).mean(axis=0),
        "logits": logits.mean(axis=0),
        **compared(np.moveaxis(p, 0, 1), valid),
        "embedding": np.stack([flat.mean(1), flat.std(1), flat.min(1), flat.max(1)], axis=1),
        "feature_map": np.concatenate([image, image**2, -image, np.ones_like(image)], axis=1)[
            (..., *[slice(None, None, 4)] * (image.ndim - 2))
        ],
        "image": image,
    }
    found = {k: v.astype(np.float32) for k, v in fields.items() if k in needs}
    columns = _columns(image, valid, logits, p, needs)
    return Prediction(
        regions, p.mean(axis=0).astype(np.float32), len(logits), valid, columns=columns, **found
    )


def _columns(
    image: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    logits: NDArray[np.float64],
    p: NDArray[np.float64],
    needs: frozenset[str],
) -> dict[str, NDArray[np.float32]]:
    """The columns of every pass put together; the "head" is given the image, or its mean, and the square."""
    seen = image.reshape(*image.shape[:2], -1).mean(axis=2) if p.ndim == 3 else image
    features = np.concatenate([seen, seen**2], axis=1)
    passes = [Pass(image, a, b, valid, features, b, said(a)) for a, b in zip(p, logits, strict=True)]
    return {n: combined(column, passes).astype(np.float32) for n, column in wanted(needs).items()}


def said(p: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What companions might say of probabilities [B, C, *S]: the less sure, the worse."""
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1).reshape(len(p), -1).mean(axis=1)
    unsure = entropy / np.log(p.shape[1])
    return {
        "predicted_loss": entropy,
        "predicted_accuracy": 1 - unsure[:, None] * np.linspace(0.5, 0.9, p.shape[1]),
        "distances": p,
        "structure": np.moveaxis(np.eye(p.shape[1])[p.argmax(axis=1)], -1, 1),
        "coarse": np.roll(p, 1, axis=-1) if p.ndim > 2 else p,
    }


def compared(p: NDArray[np.float64], valid: Any = None) -> dict[str, NDArray[np.float64]]:
    """Fields that compare the passes [B, T, C, *S] with their mean, or with each other."""
    batch, count, classes = p.shape[:3]
    inside = np.ones((batch, 1)) if valid is None else np.asarray(valid, float).reshape(batch, -1)
    masks = np.moveaxis(np.eye(classes)[p.argmax(axis=2)], -1, 2).reshape(batch, count, classes, -1)
    flat, mean = p.reshape(masks.shape), p.mean(axis=1)

    def dice(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        both, size = ((x * inside[:, None]).sum(axis=2) for x in (a * b, a + b))
        return np.divide(2 * both, size, out=np.ones_like(both), where=size > 0)

    pairs = [dice(masks[:, i], masks[:, j]) for i in range(count) for j in range(i)]
    return {
        "deviation": np.abs(p - mean[:, None]).mean(axis=1),
        "soft_dice": np.mean([dice(flat[:, t], flat.mean(axis=1)) for t in range(count)], axis=0),
        "pair_dice": np.mean(pairs, axis=0) if pairs else np.ones((batch, classes)),
    }


def prediction_of(
    passes: Any, *, regions: Sequence[Region] | None = None, valid: Any = None, embedding: Any = None
) -> Prediction:
    """A `Prediction` with every field filled from the probabilities of all passes, [B, T, C, *S], in float64."""
    p = np.asarray(passes, np.float64)
    logs = np.log(np.where(p > 0, p, 1.0))
    votes = np.moveaxis(np.eye(p.shape[2])[p.argmax(axis=2)], -1, 2)
    return Prediction(
        regions=[Region(f"r{i:03d}") for i in range(len(p))] if regions is None else regions,
        mean=p.mean(axis=1),
        passes=p.shape[1],
        valid=None if valid is None else np.asarray(valid, bool),
        member_entropy=-(p * logs).sum(axis=2).mean(axis=1),
        second_moment=(p**2).mean(axis=1),
        votes=votes.mean(axis=1),
        logits=np.log(np.maximum(p, 1e-30)).mean(axis=1),
        **compared(p, valid),
        embedding=np.zeros((len(p), 2), np.float32) if embedding is None else embedding,
        columns=said(p.mean(axis=1)),
    )
