"""Progress and tables on a terminal and in a pipe."""

from __future__ import annotations

import io

import pytest

from curette.bench.progress import Progress
from curette.cli.terminal import Meter, _Lines, duration, print_table
from curette.loop.experiment import Step
from curette.loop.ledger import Run


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59.6, "60 s"),
        (100, "2 min"),
        (3600, "60 min"),
        (5400, "1 h 30 min"),
        (12_000, "3 h 20 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lines_are_few() -> None:
    file = io.StringIO()
    lines = _Lines(file)
    for done in range(101):
        lines.show("running", "x", done, 100, 100.0 - done)
    assert file.getvalue() == "running: 0 of 100, about 2 min left\nrunning: 100 of 100\n"


def test_quiet_meter_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(1, "none > none > unit > random", "random", 0, "r", "c")
    for quiet in (True, False):
        with Meter(quiet=quiet) as meter:
            meter.prepare(1, 1)
            meter.step(Progress(1, 2, Step(run, 0, "train"), None))
        err = capsys.readouterr().err
        assert err == ("" if quiet else "preparing images: 1 of 1\nrunning: 1 of 2\n")


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a terminal gets has the phase, the count, the time left and the step, and square brackets are no markup."""
    from rich.console import Console

    from curette.cli import terminal

    file = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console", lambda **_: Console(file=file, force_terminal=True, width=140)
    )
    bars = terminal._Bars()
    bars.show("running", "dropout [x], seed 0, cycle 1: train", 3, 10, 100)
    bars.close()
    assert "[dim]" not in file.getvalue()
    for said in ("running", "3 of 10", "about 2 min left", "dropout [x], seed 0"):
        assert said in file.getvalue()


def test_plain_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", ("name", "value"), [("a", "1"), ("long [name]", "22")], numbers=1)
    assert capsys.readouterr().out == "Title\nname         value\na                1\nlong [name]     22\n"
