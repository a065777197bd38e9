"""Early stopping and triggers: the worked queries of incremental querying, patience, best weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import nn

from curette.learn.progress import Progress
from curette.learn.watch import Watch
from curette.query import trigger  # noqa: F401  (registers triggers)
from curette.recipe import Train
from curette.text import read


def _queries(values: Sequence[float], text: str, *, queries: int = 99) -> list[int]:
    """The epochs at whose start a query is due, of one training that goes on; `values` are the looks after each epoch."""
    network, settings = nn.Linear(1, 1), Train(epochs=len(values), validate_every=1)
    found, best = [], float("-inf")
    looks: Iterator[float] = iter(values)
    epoch = cycle = 0
    while epoch < len(values):
        due = read("trigger", text) if cycle < queries else None
        watch = Watch(settings, score=lambda: next(looks), trigger=due, cycle=cycle, best=best)
        while epoch < len(values):
            epoch += 1
            if watch.step(network, epoch_over=True):
                break
        else:
            return found
        best, cycle = watch.best, cycle + 1
        found.append(epoch)
    return found


def test_the_worked_queries_of_incremental_querying() -> None:
    assert _queries([0.5] * 30, "plateau(10)") == [11, 21]
    rising = [0.5, 0.6, 0.7, *[0.7] * 12, *[0.7005] * 5, 0.75, *[0.75] * 12]
    assert _queries(rising, "plateau(10)") == [13, 31]
    short = [0.50, 0.60, 0.6005, 0.60, 0.59, *[0.70] * 6]
    assert _queries(short, "plateau(3)", queries=2) == [5, 9]


def test_every_so_many_epochs() -> None:
    assert _queries([0.5] * 26, "every(5, first=10)") == [10, 15, 20, 25]
    assert _queries([0.5] * 9, "every(4)") == [4, 8]


def test_a_trigger_waits_for_answers() -> None:
    for text in ("after_training", "every(2)", "plateau(3)"):
        due = read("trigger", text)
        assert not due(Progress(1, picked=9, labelled=8, trained_on=8, epochs=99, stale=99))
        assert not due(Progress(1, picked=9, labelled=9, trained_on=8, epochs=99, stale=99))
        assert due(Progress(1, picked=9, labelled=9, trained_on=9))  # the training is over


def test_no_trigger_cuts_short_what_has_to_run_to_its_end() -> None:
    going = Progress(0, 5, 5, 5, training=True, epochs=1, stale=1)
    assert not read("trigger", "after_training")(going)
    assert not read("trigger", "every(2)")(going)
    assert not read("trigger", "plateau(2)")(going)


def _run(values: Sequence[float], **settings: float | str) -> tuple[Watch, nn.Module, int]:
    network, looks = nn.Linear(1, 1, bias=False), iter(values)
    watch = Watch(Train(validate_every=2, **settings), score=lambda: next(looks))  # type: ignore[arg-type]
    for step in range(2 * len(values)):
        with torch.no_grad():
            network.weight.fill_(step)
        if watch.step(network, epoch_over=False):
            return watch, network, step + 1
    return watch, network, 2 * len(values)


def test_patience_ends_a_training_in_steps() -> None:
    watch, _, steps = _run([0.1, 0.5, 0.5, 0.5005, 0.3, 0.9], patience=3)
    assert steps == 10  # looks at steps 2, 4 … 10: three without a gain of a thousandth
    assert watch.record == {"steps": 10, "validation": [0.1, 0.5, 0.5, 0.5005, 0.3]}


def test_the_best_weights_are_kept_where_asked_for() -> None:
    watch, network, _ = _run([0.1, 0.8, 0.2, 0.3], keep="best")
    watch.best_weights(network)
    assert network.weight.item() == 3  # those of step 4, the second look
    watch, network, _ = _run([0.1, 0.8, 0.2, 0.3])
    watch.best_weights(network)
    assert network.weight.item() == 7


def test_a_gain_must_reach_the_threshold() -> None:
    watch, _, steps = _run([0.5, 0.5009, 0.5018, 0.5027], patience=2, gain=1e-3)
    assert steps == 8  # 0.5018 is a gain over 0.5, though not over 0.5009
    assert watch.best == pytest.approx(0.5018)
