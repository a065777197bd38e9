"""Which settings and strategies the recipes use that are not there yet; tests that need them come alive with them."""

from __future__ import annotations

import pytest

from curette.errors import SettingError
from curette.papers import PAPERS
from curette.query.presets import PRESETS
from curette.query.strategy import parse_strategy
from curette.recipe import Query, Split, Train

WAITING = tuple(name for name in ("paal", "sbc_al", "predicted_loss") if name not in PRESETS)


def _missing() -> list[str]:
    wanted = {
        Train: (
            "optimiser",
            "schedule",
            "loss",
            "epochs",
            "validate_every",
            "patience",
            "keep",
            "gain",
            "companions",
        ),
        Query: ("total",),
        Split: ("folds", "order"),
    }
    found = [name for section, names in wanted.items() for name in names if name not in section.model_fields]
    texts = {row.strategy for paper in PAPERS.values() for part in paper.parts for row in part.rows}
    for text in sorted(texts - {""}):
        try:
            parse_strategy(text)
        except SettingError:
            found.append(text)
    return found


MISSING = _missing()
come_alive = pytest.mark.skipif(bool(MISSING), reason=f"not there yet: {', '.join(MISSING)}")
