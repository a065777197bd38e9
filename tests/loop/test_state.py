from __future__ import annotations

import pytest

from curette.loop.ledger import Event
from curette.loop.state import State, steps
from curette.region import Region

CYCLES = 2


def _history() -> list[list[Event]]:
    """The events of each step of a run of two cycles, two picks and then one."""
    return [
        [
            Event(1, 0, "opened"),
            Event(1, 0, "queried"),
            Event(1, 0, "picked", region="b", rank=0),
            Event(1, 0, "picked", region="a", rank=1),
        ],
        [Event(1, 0, "submitted", region="b"), Event(1, 0, "submitted", region="a")],
        [Event(1, 0, "trained", model="m")],
        [Event(1, 0, "measured", model="m")],
        [Event(1, 1, "queried"), Event(1, 1, "picked", region="c", rank=0)],
        [Event(1, 1, "submitted", region="c")],
        [Event(1, 1, "trained", model="n")],
        [Event(1, 1, "measured", model="n")],
        [Event(1, 1, "finished")],
    ]


EXPECTED = [
    (0, "query"),
    (0, "answer"),
    (0, "train"),
    (0, "measure"),
    (1, "query"),
    (1, "answer"),
    (1, "train"),
    (1, "measure"),
    (1, "finish"),
    (1, None),
]


@pytest.mark.parametrize("done", range(10))
def test_the_next_step_follows_from_the_events(done: int) -> None:
    events = [event for step in _history()[:done] for event in step]
    state = State.of(events, CYCLES)
    assert (state.cycle, state.stage) == EXPECTED[done]
    assert state.done == done
    assert steps(CYCLES) == 9


def test_half_answered_picks_are_still_to_be_answered() -> None:
    events = [*_history()[0], Event(1, 0, "submitted", region="a")]
    state = State.of(events, CYCLES)
    assert state.stage == "answer"
    assert state.picked == (Region("b"), Region("a"))
    assert state.pending == (Region("b"),)
    assert state.labelled == (Region("a"),)


def test_a_query_without_picks_leads_to_the_next_training() -> None:
    events = [e for step in _history()[:4] for e in step] + [Event(1, 1, "queried")]
    assert State.of(events, CYCLES).stage == "train"


def test_a_run_whose_pool_is_exhausted_counts_as_done() -> None:
    events = [e for step in _history()[:4] for e in step] + [Event(1, 0, "finished")]
    state = State.of(events, 5)
    assert state.stage is None
    assert state.done == steps(1)
