"""Small studies for tests of loop and bench: phantom patients, or images made up in memory, and the fake learner."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from curette.learn.evaluate import evaluate
from curette.loop.experiment import Experiment
from curette.loop.ledger import Ledger
from curette.loop.models import Models
from curette.loop.oracle import SimulatedOracle
from curette.loop.shared import Setup
from curette.query.strategy import parse_strategy
from curette.recipe import Query, Study, parse_study
from fakes import FakeImages, FakeLearner

STRATEGIES = ("random", "entropy", "bald")


def tiny_study(**changes: Any) -> Study:
    """Two seeds of three strategies on six phantom patients of eight slices; a second's work. `changes` by section."""
    raw: dict[str, Any] = {
        "name": "tiny",
        "strategies": list(STRATEGIES),
        "seeds": [0, 1],
        "gallery": False,
        "data": {
            "dataset": "phantom",
            "unit": "slice",
            "options": {"patients": 6, "size": [16, 16, 8], "seed": 3},
        },
        "split": {"train": 4, "val": 0, "test": 2},
        "query": {"initial": 3, "budget": 2, "cycles": 3},
    }
    for key, value in changes.items():
        raw[key] = raw[key] | value if isinstance(raw.get(key), dict) else value
    return parse_study(raw)


def fake_learner(study: Study, prepared: Any) -> FakeLearner:
    return FakeLearner(prepared.task, prepared)


class SlowLearner(FakeLearner):
    """Takes a few milliseconds over everything, so that a kill falls into the midst of it."""

    def fit(self, *args: Any, **options: Any) -> Any:
        time.sleep(0.005)
        return super().fit(*args, **options)

    def predict(self, *args: Any, **options: Any) -> Iterator[Any]:
        for prediction in super().predict(*args, **options):
            time.sleep(0.001)
            yield prediction

    def save(self, model: Any, path: Path) -> None:
        time.sleep(0.002)
        super().save(model, path)
        time.sleep(0.002)


def slow_learner(study: Study, prepared: Any) -> SlowLearner:
    return SlowLearner(prepared.task, prepared)


def make_setup(folder: Path, *, cycles: int = 3, initial: int = 3, budget: int = 2, **changes: Any) -> Setup:
    """A setup on images in memory: four patients of eight slices to pick from, two to measure on."""
    images = changes.pop("images", None) or FakeImages()
    metric = f"dice_{images.task.dims}d"
    learner = changes.pop("learner", None) or FakeLearner(images.task, images)
    pool = tuple(images.regions(images.case_ids[:4]))
    folder.mkdir(exist_ok=True)
    ledger = Ledger(folder / "ledger.db")
    ledger.add_recipe("recipe", "text")
    parts: dict[str, Any] = {
        "ledger": ledger,
        "learner": learner,
        "oracle": SimulatedOracle(images),
        "models": Models(folder / "models", learner),
        "recipe": "recipe",
        "task": images.task,
        "pool": pool,
        "size": images.size,
        "images": images,
        "patient": {case: i for i, case in enumerate(images.case_ids)},
        "group": {case: i % 2 for i, case in enumerate(images.case_ids)},
        "query": Query(initial=initial, budget=budget, cycles=cycles),
        "evaluate": lambda model: evaluate(learner, model, images, images.case_ids[4:], metrics=(metric,)),
    }
    return Setup(**parts | changes)


def make_runs(setup: Setup, texts: Sequence[str] = STRATEGIES, seed: int = 0) -> list[Experiment]:
    return [Experiment(setup, parse_strategy(text, "slice"), seed) for text in texts]
