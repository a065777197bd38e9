"""What there is to choose from, taken from the registry: strategies, data sets, networks, as plain values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from curette.errors import SettingError, nearest
from curette.registry import Bound, Component, components, get


def strategies(family: str | None = None) -> dict[str, Any]:
    """Named strategies, of a family or all, and the parts that others can be put together from."""
    from curette.query.strategy import ADDED, PARTS, PRESETS

    parts = {
        kind: [describe(c) | _demands(c) for c in components(kind).values()] for kind in (*PARTS, *ADDED)
    }
    wanted = [name for name, preset in PRESETS.items() if family in (None, preset.family)]
    return {"strategies": [strategy(name) for name in wanted], "parts": parts}


def family(word: str) -> str:
    """The family of that name; ``one-pass`` and ``One_Pass`` name it as well as ``one pass``.

    Raises `SettingError` for one that has no strategy: it lists the families, and suggests the nearest.
    """
    from curette.query.presets import FAMILIES, PRESETS

    there = {preset.family for preset in PRESETS.values()}
    known = [name for name in FAMILIES if name in there]
    plain = " ".join(re.split(r"[\s_-]+", word.strip().lower()))
    if plain not in known:
        raise SettingError(
            f"There is no family of strategies '{word}'.{nearest(plain, known)} Known: {', '.join(known)}."
        )
    return plain


def strategy(name: str) -> dict[str, Any]:
    """A named strategy's card. Raises `SettingError` for an unknown name."""
    from curette.query.facts import Facts

    facts = Facts(name)
    preset = facts.preset
    return {
        "name": name,
        "strategy": preset.text,
        "when": preset.when,
        "paper": preset.paper,
        "uses_truth": facts.truth,
        "aliases": list(facts.aliases),
        "family": preset.family,
        "fails": preset.fails,
        "year": preset.year,
        "cost": facts.cost,
        "needs": facts.needs,
        "passes": facts.passes,
        "networks": facts.networks,
        "features": facts.features,
        "labels": facts.labels,
        "columns": list(facts.columns),
        "notes": list(preset.notes),
    }


def datasets() -> list[dict[str, Any]]:
    """Layouts of data sets that can be opened, and the names of the parts that can be downloaded."""
    import curette.data.datasets  # noqa: F401  (registers the built-in ones)
    from curette.data.addresses import parts_of

    return [_dataset(c) | {"parts": list(parts_of(c.name))} for c in components("dataset").values()]


def dataset(name: str) -> dict[str, Any]:
    """A data set's card, with the addresses and checksums of its parts. Raises `SettingError` for an unknown name."""
    import curette.data.datasets  # noqa: F401
    from curette.data.addresses import parts_of

    parts = {
        part: [{"url": r.url, "checksum": r.checksum} for r in files]
        for part, files in parts_of(name).items()
    }
    return _dataset(get("dataset", name)) | {"parts": parts}


def _dataset(component: Component) -> dict[str, Any]:
    facts = ("task", "layout", "size", "source", "licence")
    return describe(component) | {fact: str(component.info.get(fact, "")) for fact in facts}


def models() -> list[dict[str, Any]]:
    """Networks that can be trained, with the tasks they fit and how many weights they have. This imports torch."""
    from curette.learn.models import models as found
    from curette.learn.models import parameters

    return [
        describe(c)
        | {
            "kinds": list(c.info.get("kinds", ())),
            "parameters": {f"{dims}d": parameters(c, dims) for dims in (2, 3)},
        }
        for c in found().values()
    ]


def weights(card: Mapping[str, Any]) -> str:
    """How many weights a network has, in millions, 2D / 3D: ``0.36 / 1.04 M``."""
    counts = [card["parameters"][dims] for dims in ("2d", "3d")]
    return " / ".join("–" if n is None else f"{n / 1e6:.2f}" for n in counts) + " M"


def describe(component: Component) -> dict[str, Any]:
    """A component's card: name, what it is in one sentence, paper, and options with their defaults."""
    return {
        "name": component.name,
        "summary": component.summary,
        "paper": component.paper,
        "options": {name: _default(p) for name, p in component.options.items()},
    }


def _demands(component: Component) -> dict[str, Any]:
    """What a part of a strategy asks of the others."""
    return {"needs": sorted(Bound(component).needs), "min_passes": int(component.info.get("min_passes", 0))}


def form(card: Mapping[str, Any]) -> str:
    """How to write a component with its options: ``dropout(n=10)``."""
    return f"{card['name']}({', '.join(options(card))})" if card["options"] else card["name"]


def options(card: Mapping[str, Any]) -> list[str]:
    """A component's options with their defaults: ``n=10``."""
    return [name if value is None else f"{name}={_text(value)}" for name, value in card["options"].items()]


def _default(parameter: inspect.Parameter) -> Any:
    """The default as JSON knows it; None where there is none to show."""
    value = parameter.default
    if value is inspect.Parameter.empty:
        return None
    return (
        list(value)
        if isinstance(value, tuple)
        else value
        if isinstance(value, (bool, int, float, str, list, dict))
        else None
    )


def _text(value: Any) -> str:
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )
