"""Learning rates: the worked numbers of the papers, and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.errors import SettingError
from curette.learn import schedules  # noqa: F401  (registers them)
from curette.learn.progress import Clock
from curette.learn.train import clocks
from curette.recipe import Train
from curette.registry import components
from curette.text import read


def _rates(text: str, peak: float, epochs: dict[int, float], steps: int = 250) -> None:
    rate, total = read("schedule", text), max(epochs) + 1
    for epoch, wanted in epochs.items():
        clock = Clock(epoch * steps + steps // 2, total * steps, epoch, total)
        assert peak * rate(clock, 0.0) == pytest.approx(wanted, rel=1e-4)


def test_the_worked_rates_of_stochastic_batches() -> None:
    wanted = {0: 1e-6, 5: 1.005e-4, 10: 2e-4, 11: 2e-4, 12: 1.9988e-4, 43: 1.02465e-4, 74: 5.666e-7}
    _rates("epochs_cosine", 2e-4, wanted)
    release = {0: 1e-6, 5: 5.05e-5, 10: 1e-4, 11: 1e-4, 12: 9.9942e-5, 43: 5.1257e-5, 74: 3.332e-7}
    _rates("epochs_cosine(start=0.01, end=0.001)", 1e-4, release)


def test_the_worked_rates_of_paal() -> None:
    wanted = {0: 1e-4, 4: 5e-4, 9: 1e-3, 10: 9.99984e-4, 204: 5.005e-4, 399: 1e-6}
    _rates("epochs_cosine(epochs=400, warm=9, start=0.1, end=0.001, hold=0)", 1e-3, wanted)


def test_a_training_in_steps_has_epochs_of_equal_length() -> None:
    rate = read("schedule", "epochs_cosine")
    in_steps = [2e-4 * rate(Clock(step, 18750), 0.0) for step in (0, 249, 250 * 43, 18749)]
    assert in_steps == pytest.approx([1e-6, 1e-6, 1.02465e-4, 5.666e-7], rel=1e-4)


def test_the_worked_rates_of_sbc_al() -> None:
    rate = read("schedule", "decay")
    found = [0.01 * rate(Clock(step, 10000), 0.05) for step in (0, 499, 500, 1000, 5000)]
    assert found == pytest.approx([0.01, 0.01, 0.009, 0.0081, 0.00348678], rel=1e-5)


@given(
    st.sampled_from(["cosine", "cosine(end=0.1)", "constant", "decay"]),
    st.integers(1, 3000),
    st.floats(0, 0.9),
)
def test_shares_of_the_peak_are_above_zero_and_at_most_one(text: str, steps: int, warmup: float) -> None:
    rate = read("schedule", text)
    shares = [rate(Clock(step, steps), warmup) for step in {0, steps // 3, steps - 1}]
    assert all(0 < share <= 1 for share in shares)


def test_every_schedule_is_tried_here() -> None:
    assert set(components("schedule")) == {"cosine", "constant", "decay", "epochs_cosine"}


@pytest.mark.parametrize("text", ["decay(every=0)", "decay(factor=0)", "epochs_cosine(epochs=5)", "cosin"])
def test_impossible_schedules(text: str) -> None:
    with pytest.raises(SettingError):
        read("schedule", text)(Clock(0, 1), 0.0)


def test_epochs_are_passes_over_the_samples_and_go_on_where_they_ended() -> None:
    settings = Train(epochs=3, batch=4)
    found = list(clocks(settings, 10))
    assert [(c.step, c.epoch) for c in found] == [(s, s // 3) for s in range(9)]
    later = list(clocks(settings, 17, epoch=1))  # more is labelled now: an epoch has five steps
    assert [(c.step, c.epoch, c.steps) for c in later] == [(s, s // 5, 15) for s in range(5, 15)]
    assert next(c.share for c in later) == pytest.approx(1 / 3)
