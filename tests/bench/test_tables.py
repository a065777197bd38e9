from __future__ import annotations

import math
from pathlib import Path

import pytest

from curette.bench.tables import write_tables, write_text
from curette.errors import SettingError
from curette.loop.ledger import Event, Ledger


def _ledger(path: Path, order: list[int]) -> Ledger:
    """Two runs of one cycle, recorded in the order given."""
    ledger = Ledger(path)
    ledger.add_recipe("r", "")
    seeds = {i: ledger.open_run("s", 'entropy, "quoted" text', 10 + i, "r").id for i in order}
    for i in order:
        run = seeds[i]
        ledger.record(
            [
                Event(
                    run, 0, "queried", data={"timings": [["sweep", 1.23456789, 100.04], ["select", 0.5, 1.0]]}
                ),
                Event(run, 0, "picked", region="b@z=1", rank=1, score=1 / 3),
                Event(run, 0, "picked", region="a@[0:2,1:3]", rank=0),
                Event(run, 0, "picked", region="c", rank=2, score=-math.inf),
            ]
        )
        values = [["hd95_mm", "mean", None], ["dice_3d", "mean", 0.1 + 0.2], ["dice_3d", "core", 1.0]]
        ledger.record([Event(run, 0, "trained", model="m", data={"labelled": 3, "reused": 1})])
        ledger.record([Event(run, 0, "measured", model="m", data={"values": values})])
    return ledger


RESULTS = """strategy,seed,cycle,labelled,metric,class,value
"entropy, ""quoted"" text",10,0,3,dice_3d,core,1.0
"entropy, ""quoted"" text",10,0,3,dice_3d,mean,0.30000000000000004
"entropy, ""quoted"" text",10,0,3,hd95_mm,mean,nan
"""
PICKS = """strategy,seed,cycle,rank,region,score
"entropy, ""quoted"" text",10,0,0,"a@[0:2,1:3]",
"entropy, ""quoted"" text",10,0,1,b@z=1,0.3333333333333333
"entropy, ""quoted"" text",10,0,2,c,-inf
"""
TIMINGS = """strategy,seed,cycle,stage,seconds,peak_mb
"entropy, ""quoted"" text",10,0,select,0.5,1.0
"entropy, ""quoted"" text",10,0,sweep,1.2346,100.0
"""


def test_tables_hold_what_the_ledger_does(tmp_path: Path) -> None:
    write_tables(_ledger(tmp_path / "ledger.db", [0]), tmp_path)
    found = [(tmp_path / name).read_bytes().decode() for name in ("results.csv", "picks.csv", "timings.csv")]
    assert found == [RESULTS, PICKS, TIMINGS]


def test_the_order_of_recording_does_not_show(tmp_path: Path) -> None:
    for name, order in (("a", [0, 1]), ("b", [1, 0])):
        (tmp_path / name).mkdir()
        write_tables(_ledger(tmp_path / name / "ledger.db", order), tmp_path / name)
    for table in ("results.csv", "picks.csv"):
        assert (tmp_path / "a" / table).read_bytes() == (tmp_path / "b" / table).read_bytes()


def test_an_empty_ledger_gives_headers(tmp_path: Path) -> None:
    write_tables(Ledger(tmp_path / "ledger.db"), tmp_path)
    assert (tmp_path / "picks.csv").read_text() == "strategy,seed,cycle,rank,region,score\n"


def test_a_file_is_replaced_or_left_and_the_error_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.csv"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(SettingError, match=r"results\.csv cannot be written: No space left"):
            write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write_text(path, "new")
    assert path.read_text() == "new"
    with pytest.raises(SettingError, match="cannot be written"):
        write_text(tmp_path / "nowhere" / "x.csv", "")
