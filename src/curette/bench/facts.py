"""What a report must say about the data, written into the study folder so that it can be rebuilt without them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from curette.bench.tables import write_text
from curette.data.case import Dataset
from curette.data.folds import Folds
from curette.data.splits import PARTS
from curette.errors import DataError

NAME = "data.json"


@dataclass(frozen=True)
class Facts:
    """Name, licence and source of a data set, its task, and (cases, patients) of each part of the split."""

    name: str
    licence: str
    source: str
    kind: str
    dims: int
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    parts: dict[str, tuple[int, int]]
    notes: tuple[str, ...] = ()


def save_facts(folder: Path, dataset: Dataset, folds: Folds) -> Path:
    """Write the facts of a data set and its split into a study folder; of folds, only what they have in all."""
    patient = {case.id: case.patient for case in dataset.cases}
    if len(folds) == 1:
        parts = {name: getattr(folds.splits[0], name) for name in PARTS}
    else:
        parts = {f"in {len(folds)} folds": tuple(patient)}
    facts = Facts(
        name=dataset.name,
        licence=dataset.licence,
        source=dataset.source,
        kind=dataset.task.kind,
        dims=dataset.task.dims,
        classes=dataset.task.names,
        channels=dataset.task.channels,
        parts={name: (len(ids), len({patient[i] for i in ids})) for name, ids in parts.items()},
        notes=dataset.notes,
    )
    return write_facts(folder, facts)


def write_facts(folder: Path, facts: Facts) -> Path:
    """Write ``data.json`` in one step. Raises `SettingError` when the folder cannot be written to."""
    path = folder / NAME
    write_text(path, json.dumps({"format": 1, **asdict(facts)}, indent=1) + "\n")
    return path


def load_facts(folder: Path) -> Facts | None:
    """Read ``data.json``; None when the folder has none. Raises `DataError` when it is damaged."""
    path = folder / NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Facts(
            name=str(raw["name"]),
            licence=str(raw["licence"]),
            source=str(raw["source"]),
            kind=str(raw["kind"]),
            dims=int(raw["dims"]),
            classes=tuple(map(str, raw["classes"])),
            channels=tuple(map(str, raw["channels"])),
            parts={str(k): (int(v[0]), int(v[1])) for k, v in raw["parts"].items()},
            notes=tuple(map(str, raw["notes"])),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        raise DataError(f"{path} is damaged ({problem!r}). Delete it; the report works without it.") from None
