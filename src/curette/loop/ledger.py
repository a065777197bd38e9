"""The ledger: every event of every run of a study, in one append-only database.

What is labelled, which model is current, what comes next: each is a query over events, never a state of its own. One
step of the loop is one transaction, so a process that is killed leaves either the whole step or nothing of it.

    recipes  digest, text, created               the settings that decide results
    runs     strategy, name, seed, recipe, …     one strategy with one seed; unique (strategy, seed)
    events   run, cycle, kind, region, …         what happened; unique indexes make every step happen once

Cycle c is: pick (at random for c = 0, else with the model of cycle c - 1), answer, train, measure. Its events:

    opened     once a run: size and hash of the pool, hash of the prepared data, the budget in numbers, fold, patients, and
               how many validation labels trainings are watched by
    queried    the picks of the cycle were made; how many, and what that took
    picked     one a region, with its rank and score
    submitted  one a region: a label is there; who gave it and what it cost
    trained    model id, number of labelled regions, and of pseudo-labels where the strategy has a teacher
    measured   model id and the measurements
    finished   once a run
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError

import curette
from curette.errors import DataError, SettingError

VERSION = 1
"""Of the schema; a file of a later version is refused."""

metadata = sa.MetaData()

recipes = sa.Table(
    "recipes",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created", sa.String(32), nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("recipe", sa.ForeignKey("recipes.digest"), nullable=False),
    sa.Column("code", sa.String(32), nullable=False),
    sa.Column("created", sa.String(32), nullable=False),
    sa.UniqueConstraint("strategy", "seed"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.String(32), nullable=False),
    sa.Column("run", sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("region", sa.Text),
    sa.Column("rank", sa.Integer),
    sa.Column("score", sa.Double),
    sa.Column("model", sa.String(64)),
    sa.Column("cost", sa.Double),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Index("events_by_run", "run", "cycle"),
    sa.Index("events_by_model", "model", "kind"),
)


def _once(name: str, kinds: Sequence[str], *columns: str) -> None:
    """Events of these kinds happen once for each value of `columns`; other kinds may repeat."""
    which = events.c.kind.in_([sa.literal_column(f"'{kind}'") for kind in kinds])
    chosen = [events.c[c] for c in columns]
    sa.Index(name, *chosen, unique=True, sqlite_where=which, postgresql_where=which)


_once("once_a_run", ("opened", "finished"), "run", "kind")
_once("once_a_cycle", ("queried", "trained", "measured"), "run", "cycle", "kind")
_once("once_a_region", ("picked", "submitted"), "run", "region", "kind")
_once("once_a_rank", ("picked",), "run", "cycle", "rank")

for _table in (recipes, runs, events):
    for _verb in ("UPDATE", "DELETE"):
        _trigger = sa.DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER {_table.name}_no_{_verb.lower()} BEFORE {_verb} ON {_table.name} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )
        sa.event.listen(_table, "after_create", _trigger.execute_if(dialect="sqlite"))


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy with one seed. `strategy` is its canonical text, `name` the text the user gave."""

    id: int
    strategy: str
    name: str
    seed: int
    recipe: str
    code: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a cycle of a run. `score` None stands for none or not a number."""

    run: int
    cycle: int
    kind: str
    region: str | None = None
    rank: int | None = None
    score: float | None = None
    model: str | None = None
    cost: float | None = None
    who: str = "curette"
    data: dict[str, Any] = field(default_factory=dict)


_COLUMNS = [events.c[name] for name in Event.__dataclass_fields__]


class Ledger:
    """The database of one study folder; many processes may write to it at once.

    `place` is the path of an SQLite file or its ``sqlite:///`` URL. With `create` a missing file is made, else it is a
    `DataError`. Raises `DataError` for a file that is no ledger, `SettingError` for one of a later version of curette.
    """

    def __init__(self, place: Path | str, *, create: bool = True) -> None:
        url = sa.make_url(str(place)) if "://" in str(place) else sa.URL.create("sqlite", database=str(place))
        if url.get_backend_name() != "sqlite":
            raise SettingError(f"The ledger {url} is not SQLite. Give a file path or an sqlite:/// URL.")
        self._path = url.database or ":memory:"
        if not create and not os.path.isfile(self._path):
            raise DataError(f"There is no ledger {self._path}. Start the study with `curette run`.")
        self._engine = sa.create_engine(url)
        sa.event.listen(self._engine, "connect", _set_up)
        sa.event.listen(self._engine, "begin", _begin)
        if self._version() < VERSION:
            with self._write() as connection:
                metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Give the file back; the ledger opens it again when it is next used."""
        self._engine.dispose()

    def add_recipe(self, digest: str, text: str) -> None:
        """Keep the settings behind `digest`; what is there already stays."""
        self._insert(recipes, [{"digest": digest, "text": text, "created": _now()}])

    def recipes(self) -> dict[str, str]:
        """The settings of this ledger's runs: digest → text, oldest first."""
        query = sa.select(recipes.c.digest, recipes.c.text).order_by(recipes.c.created)
        return dict(map(tuple, self._rows(query)))

    def open_run(self, strategy: str, name: str, seed: int, recipe: str) -> Run:
        """Return the run of (strategy, seed), made now if it is new."""
        found = self.run(strategy, seed)
        if found is None:
            row = {"strategy": strategy, "name": name, "seed": seed, "recipe": recipe}
            self._insert(runs, [row | {"code": curette.__version__, "created": _now()}])
            found = self.run(strategy, seed)
        assert found is not None
        return found

    def run(self, strategy: str, seed: int) -> Run | None:
        """The run of a canonical strategy text and a seed, if there is one."""
        return next((r for r in self.runs() if (r.strategy, r.seed) == (strategy, seed)), None)

    def runs(self) -> list[Run]:
        """All runs, in the order they were opened."""
        columns = [runs.c[name] for name in Run.__dataclass_fields__]
        return [Run(*row) for row in self._rows(sa.select(*columns).order_by(runs.c.id))]

    def record(self, happened: Iterable[Event]) -> bool:
        """Write the events of one step, all or none. False if the step is in the ledger already."""
        now = _now()
        names = Event.__dataclass_fields__
        return self._insert(events, [{n: getattr(e, n) for n in names} | {"time": now} for e in happened])

    def events(self, run: int | None = None, *kinds: str) -> list[Event]:
        """Events in the order they were recorded; of one run, or of all; of some kinds, or of all."""
        query = sa.select(*_COLUMNS).order_by(events.c.id)
        if run is not None:
            query = query.where(events.c.run == run)
        if kinds:
            query = query.where(events.c.kind.in_(kinds))
        return [Event(*row) for row in self._rows(query)]

    def first(self, kind: str, model: str) -> Event | None:
        """The first event of a kind about a model, whichever run it belongs to."""
        query = sa.select(*_COLUMNS).where(events.c.model == model, events.c.kind == kind)
        return next((Event(*row) for row in self._rows(query.order_by(events.c.id).limit(1))), None)

    def current_models(self) -> set[str]:
        """The model each run trained last: the only model files that may still be wanted."""
        latest = sa.select(sa.func.max(events.c.id)).where(events.c.kind == "trained").group_by(events.c.run)
        return {model for (model,) in self._rows(sa.select(events.c.model).where(events.c.id.in_(latest)))}

    def _version(self) -> int:
        with self._guard(), self._engine.begin() as connection:
            version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if version > VERSION:
            raise SettingError(
                f"The ledger {self._path} was written by a later curette (schema {version}). Upgrade curette."
            )
        return version

    def _insert(self, table: sa.Table, rows: list[dict[str, Any]]) -> bool:
        try:
            with self._write() as connection:
                if rows:
                    connection.execute(sa.insert(table), rows)
        except IntegrityError as problem:
            if "UNIQUE" not in str(problem.orig):
                raise
            return False
        return True

    def _rows(self, query: sa.Select[Any]) -> list[Any]:
        with self._guard(), self._engine.begin() as connection:
            return list(connection.execute(query))

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        writing = self._engine.execution_options(writes=True)
        with self._guard(), writing.begin() as connection:
            yield connection

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DatabaseError as problem:
            raise DataError(
                f"The ledger {self._path} cannot be used: {problem.orig}. Check that it is a curette ledger on a disk "
                "that can be written to and is not full."
            ) from None


def _set_up(connection: Any, _record: Any) -> None:
    """Durable at every commit; readers never wait for a writer, writers wait up to a minute for each other."""
    connection.isolation_level = None  # transactions begin where `_begin` says, not where the driver guesses
    for pragma in (
        "busy_timeout = 60000",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "recursive_triggers = ON",  # so that INSERT OR REPLACE cannot get round the append-only triggers
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    # A write transaction takes its lock at the start: one that began as a reader could only fail, not wait.
    mode = "IMMEDIATE" if connection.get_execution_options().get("writes") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {mode}")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
