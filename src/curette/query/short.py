"""Short forms of a strategy's text, and what is said of a name that stands where none of its kind does."""

from __future__ import annotations

from collections.abc import Sequence

from curette.errors import SettingError, nearest, unknown
from curette.query.presets import PRESETS
from curette.registry import Component, components, get
from curette.text import Call, parse_added

PARTS = ("passes", "scorer", "granularity", "selector")
ADDED = ("companion", "trigger", "teacher")
"""Kinds of what may be added to the four parts: what training carries along, when the next query is due, and what the
model may teach itself."""


def four_parts(
    text: str, calls: Sequence[Call], more: Sequence[Call]
) -> tuple[Sequence[Call], tuple[Call, ...]]:
    """The four parts that a full or short form stands for, and all that is added to them."""
    if len(calls) > 4:
        raise SettingError(
            f"Strategy '{text}' has {len(calls)} parts; there are at most four: {' > '.join(PARTS)}."
        )
    if len(calls) == 4:
        return calls, tuple(more)
    if len(calls) == 3:
        return [*calls[:2], Call("unit"), calls[2]], tuple(more)
    first = calls[0]
    if first.name not in PRESETS:
        raise _unknown_preset(text, first.name, alone=len(calls) == 1)
    if first != Call(first.name):
        raise SettingError(
            f"Strategy '{text}': the preset '{first.name}' takes no options. Write it out and set them there: "
            f"'{PRESETS[first.name].text}'."
        )
    four, added = parse_added(PRESETS[first.name].text)
    # What is written here stands for what the preset says of the same kind.
    said = {_addition(call) for call in more}
    return [*four[:3], *(calls[1:] or four[3:])], (*(c for c in added if _addition(c) not in said), *more)


def _addition(call: Call) -> str:
    """What can be there only once: each companion, one trigger, one teacher."""
    return next((kind for kind in ADDED[1:] if call.name in components(kind)), call.name)


def _unknown_preset(text: str, word: str, *, alone: bool) -> SettingError:
    kind = _kind_of(word)
    if kind is None:
        if alone:
            return unknown("strategy", word, PRESETS)
        problem = unknown("strategy", word, PRESETS)
        return SettingError(f"Strategy '{text}': {problem} Two parts are read as 'preset > selector'.")
    what = f"'{word}' {_is(kind)}, not the name of a whole strategy"
    example = {"passes": f"{word} > entropy > top", "selector": f"entropy > {word}"}.get(
        kind, f"single > {word} > top"
    )
    if kind == "scorer" and int(get(kind, word).info.get("min_passes", 1)) > 1:
        example = f"dropout(10) > {word} > top"
    if kind == "granularity":
        example = f"single > entropy > {word} > top"
    return SettingError(
        f"Strategy '{text}': {what}. Write for example '{example}'. Whole strategies: {', '.join(sorted(PRESETS))}."
    )


def _is(kind: str) -> str:
    return "are passes" if kind == "passes" else f"is a {kind}"


def _kind_of(word: str) -> str | None:
    return next((kind for kind in PARTS if word in components(kind)), None)


def find(kind: str, name: str) -> Component:
    """A part's component. Raises `SettingError` that says where a name of another kind belongs."""
    if name not in components(kind):
        raise _misplaced(kind, name)
    return get(kind, name)


def _misplaced(kind: str, name: str) -> SettingError:
    other = _kind_of(name)
    if other is None:
        everything = {n for k in PARTS for n in components(k)} | set(PRESETS)
        hint = nearest(name, components(kind)) or nearest(name, everything)
        return SettingError(f"unknown {kind} '{name}'.{hint} Known: {', '.join(components(kind))}.")
    return SettingError(
        f"'{name}' {_is(other)}, but stands where the {kind} belong{'' if kind == 'passes' else 's'} in "
        f"{' > '.join(PARTS)} (three parts leave the granularity out)."
    )


def no_addition(name: str) -> SettingError:
    """What to raise for a name behind a '+' that cannot be added."""
    known = [n for kind in ADDED for n in components(kind)]
    if (kind := _kind_of(name)) is not None:
        which = f"'{name}' {_is(kind)}, and stands among {' > '.join(PARTS)}"
        return SettingError(f"{which}. What is added with '+' is one of: {', '.join(known)}.")
    return unknown("addition", name, known)
