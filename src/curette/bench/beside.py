"""The part of a report that puts a reproduced paper's numbers beside ours, from ``paper.json`` in the folder.

`curette.papers` writes that file; here it is only shown, so that `curette report` rebuilds the whole page.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curette.bench.wording import p_value, signed
from curette.errors import DataError

NAME = "paper.json"
NOTHING = "–"


def load_beside(folder: Path) -> dict[str, Any] | None:
    """What ``paper.json`` says, with a text for every cell; None without one. Raises `DataError` when it is damaged."""
    path = folder / NAME
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found | {
            "tables": [table | {"rows": [_row(row) for row in table["rows"]]} for table in found["tables"]],
            "orderings": [o | _ordering(o) for o in found["orderings"]],
        }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(
            f"{path} is damaged ({problem!r}). Delete it and run `curette reproduce` again."
        ) from None


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"cells": [cell | {"shown": shown(cell)} for cell in row["cells"]]}


def shown(cell: dict[str, Any]) -> dict[str, str]:
    """Texts of a cell: ours with its deviation, the paper's, and the difference; a dash where there is none."""
    return {
        "ours": _spread(cell["ours"], cell["sd"]),
        "paper": _spread(cell["paper"], cell["paper_sd"]),
        "difference": NOTHING if cell["difference"] is None else signed(cell["difference"], 2),
    }


def _ordering(o: dict[str, Any]) -> dict[str, Any]:
    whole = o["low"] is not None
    return {
        "shown": {
            "paper": NOTHING if o["difference_paper"] is None else signed(o["difference_paper"], 2),
            "ours": NOTHING if o["difference_ours"] is None else signed(o["difference_ours"], 2),
            "interval": f"{signed(o['low'], 2)} to {signed(o['high'], 2)}" if whole else NOTHING,
            "p": NOTHING if o["p"] is None else p_value(o["p"]),
        }
    }


def _spread(mean: float | None, sd: float | None) -> str:
    if mean is None:
        return NOTHING
    return f"{mean:.2f}" + ("" if sd is None else f" ± {sd:.2f}")
