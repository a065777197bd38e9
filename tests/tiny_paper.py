"""A paper small enough for tests: rows and tables of real ones, on six phantom patients of eight slices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from curette.papers import PAPERS
from curette.papers.paper import Arm, Paper, Part, Row
from curette.recipe import Study
from fakes import FakeLearner

POOL = 32
SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "seeds": [0, 1],
    "gallery": False,
    "data": {
        "dataset": "phantom",
        "unit": "slice",
        "options": {"patients": 6, "size": [16, 16, 8], "seed": 3},
    },
    "split": {"train": 4, "val": 0, "test": 2},
    "query": {"initial": 3, "budget": 3, "cycles": 3},
    "metrics": ["dice_3d", "dice_2d", "hd95_mm"],
}
_RUN = ("Random", "Entropy", "Entropy+SB", "MaxEntropy", "Margin")


def tiny_rows(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Those that the fake learner can answer; the others are there without a strategy."""
    return tuple(row if row.name in _RUN else replace(row, strategy="", missing="left out") for row in rows)


def tiny_paper() -> Paper:
    """``queries``: a table of means over queries. ``shares``: one of budgets in percent, with all labels beside it."""
    batches = PAPERS["stochastic-batches"].part("prostate")
    structure = PAPERS["sbc-al"].part("acdc")
    queries = Part(
        name="queries",
        what="made-up slices",
        rows=tiny_rows(batches.rows),
        tables=batches.tables,
        full=SETTINGS,
        small={"seeds": [0]},
        claims=batches.claims,
        classes={"prostate": "mean"},
    )
    shares = replace(
        queries,
        name="shares",
        rows=(*tiny_rows(structure.rows[:-1]), Row("All labels", "random", arm="full-data")),
        tables=structure.tables,
        arms=(Arm(), Arm("full-data", {"query": {"initial": POOL, "budget": 0, "cycles": 1}}, reserved=True)),
        claims=structure.claims,
        stands_for="queries",
    )
    gone = replace(queries, name="gone", unavailable="its scans are private.")
    files = replace(queries, name="files", full=SETTINGS | {"data": {"dataset": "msd", "unit": "slice"}})
    prostate = replace(
        queries,
        name="prostate",
        full=SETTINGS
        | {
            "data": {"dataset": "promise12", "unit": "slice"},
            "prepare": {"size": [16, 16]},
            "split": {"train": 5, "val": 0, "test": 2},  # all that the tests have
        },
    )
    return Paper(
        "tiny",
        "A tiny paper",
        "Tester 2020",
        (queries, shares, gone, files, prostate),
        ("A choice.",),
        ("A later step.",),
    )


def fake_learner(study: Study, prepared: Any) -> FakeLearner:
    return FakeLearner(prepared.task, prepared)
