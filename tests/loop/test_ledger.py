from __future__ import annotations

import math
import multiprocessing
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from curette.errors import DataError, SettingError
from curette.loop import ledger as schema
from curette.loop.ledger import Event, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.db")
    made.add_recipe("r1", "steps = 3")
    yield made
    made.close()


def _run(ledger: Ledger, strategy: str = "a > b > c > d", seed: int = 0) -> int:
    return ledger.open_run(strategy, "name", seed, "r1").id


def test_events_come_back_as_they_were_recorded_in_order(ledger: Ledger) -> None:
    run = _run(ledger)
    first = [
        Event(run, 0, "queried", data={"count": 2, "nested": [1, {"ü": None}]}),
        Event(run, 0, "picked", region="p1@z=3", rank=0, score=-math.inf, model="m"),
        Event(run, 0, "picked", region="p1@z=4", rank=1, score=0.1 + 0.2),
    ]
    assert ledger.record(first)
    last = Event(run, 0, "submitted", region="p1@z=3", cost=1.5, who="truth")
    assert ledger.record([last])
    assert ledger.events(run) == [*first, last]
    assert ledger.events(run, "submitted", "queried") == [first[0], last]


def test_events_of_other_runs_are_kept_apart(ledger: Ledger) -> None:
    one, two = _run(ledger, seed=1), _run(ledger, seed=2)
    ledger.record([Event(one, 0, "trained", model="m"), Event(two, 0, "trained", model="n")])
    assert [e.model for e in ledger.events(two)] == ["n"]
    assert [e.model for e in ledger.events(None, "trained")] == ["m", "n"]


def test_a_run_is_opened_once_and_keeps_its_first_name(ledger: Ledger) -> None:
    first = ledger.open_run("s", "first", 7, "r1")
    again = ledger.open_run("s", "second", 7, "r1")
    assert first == again
    assert [r.name for r in ledger.runs()] == ["first"]
    assert ledger.run("s", 8) is None


REPEATS = [
    Event(1, 0, "opened"),
    Event(1, 0, "finished"),
    Event(1, 0, "queried"),
    Event(1, 0, "trained", model="m"),
    Event(1, 0, "measured", model="m"),
    Event(1, 0, "picked", region="p1", rank=0),
    Event(1, 0, "submitted", region="p1"),
]


@pytest.mark.parametrize("event", REPEATS, ids=lambda e: e.kind)
def test_no_step_happens_twice_and_a_refused_step_leaves_nothing(ledger: Ledger, event: Event) -> None:
    _run(ledger)
    assert ledger.record([event])
    other = Event(1, 5, "note")
    assert not ledger.record([other, event])
    assert ledger.events(1) == [event]
    assert ledger.record([other])


@pytest.mark.parametrize(
    "second",
    [
        Event(1, 3, "picked", region="p1", rank=9),  # the region again, in a later cycle
        Event(1, 0, "picked", region="p2", rank=0),  # the rank again, in the same cycle
        Event(1, 3, "finished"),  # a run ends once, whatever the cycle
    ],
)
def test_what_is_unique_spans_cycles_or_ranks(ledger: Ledger, second: Event) -> None:
    _run(ledger)
    ledger.record([Event(1, 0, "picked", region="p1", rank=0), Event(1, 0, "finished")])
    assert not ledger.record([second])


def test_kinds_that_may_repeat_do_repeat(ledger: Ledger) -> None:
    event = Event(_run(ledger), 0, "leased", region="p1", who="anna")
    assert ledger.record([event])
    assert ledger.record([event])
    assert len(ledger.events(1)) == 2


@pytest.mark.parametrize("table", ["recipes", "runs", "events"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET rowid = rowid", "DELETE FROM {}"])
def test_nothing_is_altered_or_deleted(ledger: Ledger, tmp_path: Path, table: str, verb: str) -> None:
    ledger.record([Event(_run(ledger), 0, "trained", model="m")])
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(verb.format(table))
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_insert_or_replace_is_no_way_round(ledger: Ledger) -> None:
    ledger.record([Event(_run(ledger), 0, "trained", model="m")])
    statement = "INSERT OR REPLACE INTO recipes VALUES ('r1', 'other', 'now')"
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), ledger._engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert ledger.recipes() == {"r1": "steps = 3"}


def test_an_event_without_a_run_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"):
        ledger.record([Event(99, 0, "trained")])


def test_commits_are_durable_and_readers_do_not_block(ledger: Ledger) -> None:
    with ledger._engine.connect() as connection:
        found = {
            p: connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "synchronous")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2}


def test_the_first_event_about_a_model(ledger: Ledger) -> None:
    one, two = _run(ledger, seed=1), _run(ledger, seed=2)
    assert ledger.first("trained", "m") is None
    ledger.record([Event(two, 0, "trained", model="m")])
    ledger.record([Event(one, 0, "trained", model="m")])
    found = ledger.first("trained", "m")
    assert found is not None
    assert found.run == two
    assert ledger.first("measured", "m") is None


def test_the_current_model_is_the_one_a_run_trained_last(ledger: Ledger) -> None:
    one, two = _run(ledger, seed=1), _run(ledger, seed=2)
    ledger.record([Event(run, 0, "trained", model="shared") for run in (one, two)])
    ledger.record([Event(one, 1, "trained", model="own")])
    ledger.record([Event(one, 1, "measured", model="other")])
    assert ledger.current_models() == {"shared", "own"}


def test_a_ledger_opened_again_is_the_same(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record([Event(_run(ledger), 0, "trained", model="m")])
    ledger.close()
    again = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", create=False)
    assert [e.model for e in again.events()] == ["m"]
    again.close()


def test_files_that_are_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with pytest.raises(DataError, match=r"no ledger .*ledger\.db.*curette run"):
        Ledger(path, create=False)
    path.write_text("this is not a database, but it is long enough to be looked at" * 20)
    with pytest.raises(DataError, match=r"ledger\.db cannot be used: file is not a database"):
        Ledger(path)
    assert path.read_text().startswith("this is not")


def test_a_ledger_of_a_later_version_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(SettingError, match="later curette"):
        Ledger(tmp_path / "ledger.db")


def test_other_databases_are_refused() -> None:
    with pytest.raises(SettingError, match="not SQLite"):
        Ledger("postgresql://somewhere/db")


def test_the_schema_is_valid_for_postgresql() -> None:
    dialect = sa.dialects.postgresql.dialect()
    made = [str(sa.schema.CreateTable(t).compile(dialect=dialect)) for t in schema.metadata.sorted_tables]
    indexes = [str(sa.schema.CreateIndex(i).compile(dialect=dialect)) for i in schema.events.indexes]
    assert len(made) == 3
    assert sum("UNIQUE" in i and "WHERE kind IN ('" in i for i in indexes) == 4


def _write(path: Path, seed: int, results: multiprocessing.Queue[int]) -> None:
    ledger = Ledger(path)
    own = ledger.open_run("s", "n", seed, "r1").id
    shared = ledger.open_run("s", "n", 0, "r1").id
    won = 0
    for cycle in range(40):
        assert ledger.record([Event(own, cycle, "trained", model=f"{seed}-{cycle}")])
        won += ledger.record([Event(shared, cycle, k, model="m") for k in ("queried", "trained", "measured")])
    results.put(won)
    ledger.close()


def test_processes_write_at_once_and_each_step_has_one_winner(ledger: Ledger, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    writers = [context.Process(target=_write, args=(tmp_path / "ledger.db", s, results)) for s in (1, 2, 3)]
    for writer in writers:
        writer.start()
    won = [results.get(timeout=120) for _ in writers]
    for writer in writers:
        writer.join()
    assert sum(won) == 40
    shared = ledger.run("s", 0)
    assert shared is not None
    assert len(ledger.events(shared.id)) == 120
    assert len(ledger.events()) == 240
    assert len(ledger.runs()) == 4


def test_events_are_values() -> None:
    event = Event(1, 0, "trained", model="m")
    assert replace(event, cycle=1) == Event(1, 1, "trained", model="m")
