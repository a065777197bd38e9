"""What wrappers share: choosing by another selector, from a part of the pool, knowing what is picked already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.registry import Bound

Choose = Callable[[Candidates, int], NDArray[np.int64]]


def check_inner(who: str, **options: object) -> None:
    """Raise `SettingError` if an option of wrapper `who` that must be a selector is something else."""
    for name, value in options.items():
        if not isinstance(value, Bound):
            raise SettingError(
                f"Selector '{who}': {name} is {value!r}, but must be a selector. Write for example '{who}(top)'."
            )


def among(
    selector: Bound,
    candidates: Candidates,
    positions: NDArray[np.int64],
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
) -> NDArray[np.int64]:
    """The picks of `selector` among the candidates at rising `positions`, as positions into all candidates.

    Holds a copy of that part of the pool meanwhile, unless it is the whole; of features and columns only if `selector`
    reads them.
    """
    if budget == 0:
        return np.empty(0, np.int64)
    if len(positions) == len(candidates):
        return np.asarray(selector(candidates, budget, rng, labelled), np.int64)
    told = selector.needs | ({"truth"} if selector.says("truth") else set())
    lean = replace(
        candidates,
        embedding=candidates.embedding if "embedding" in told else None,
        columns={name: column for name, column in candidates.columns.items() if name in told},
    )
    part = replace(lean.take(positions), ordered=candidates.ordered)
    return positions[np.asarray(selector(part, budget, rng, labelled), np.int64)]


def with_picks(
    labelled: Labelled, candidates: Candidates, picks: Sequence[int] | NDArray[np.int64], reader: Bound
) -> Labelled:
    """The labelled set joined by what this batch holds already, so that the selector `reader` keeps away from it.

    The picks have no labels yet, so a reader that looks at labels is given the labelled set as it is.
    """
    if not len(picks) or reader.says("labels"):
        return labelled
    chosen = candidates.take(np.asarray(picks, np.int64))

    def joined(old: NDArray[Any] | None, new: NDArray[Any] | None) -> NDArray[Any] | None:
        if not len(labelled):
            return new
        return None if old is None or new is None else np.concatenate([old, new])

    columns = {name: joined(labelled.columns.get(name), column) for name, column in chosen.columns.items()}
    return replace(
        labelled,
        regions=[*labelled.regions, *chosen.regions],
        patient=joined(labelled.patient, chosen.patient),
        embedding=joined(labelled.embedding, chosen.embedding),
        columns={name: column for name, column in columns.items() if column is not None},
    )


def unwanted_last(candidates: Candidates, budget: int, choose: Choose, scored: bool) -> NDArray[np.int64]:
    """What `choose` picks among candidates that are wanted at all; those of score -inf only fill up, the first first.

    For wrappers, whose quotas would otherwise be met with unwanted regions. Where nothing goes by score (`scored` is
    False), every candidate is wanted.
    """
    wanted = np.isfinite(candidates.score)
    if not scored or wanted.all():
        return choose(candidates, budget)
    good, bad = np.flatnonzero(wanted), np.flatnonzero(~wanted)
    taken = min(budget, len(good))
    part = replace(candidates.take(good), ordered=candidates.ordered)
    picks = good[choose(part, taken)] if taken else good[:0]
    return np.concatenate([picks, bad[: budget - taken]])


class Rule(Protocol):
    """Who may join a batch."""

    def admits(self, position: int) -> bool:
        """Whether a candidate may join; if so it has joined."""
        ...

    def barred(self) -> NDArray[np.bool_]:
        """Candidates [N] that cannot join any more."""
        ...

    def relax(self) -> None:
        """Nobody is left who may join: let some of those in who were barred."""
        ...


def admitted(
    selector: Bound,
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    rule: Rule,
) -> NDArray[np.int64]:
    """The picks of `selector` that `rule` admits; it is asked again, among those not barred, until the batch is full.

    Each time it knows the picks so far as if they were labelled. At least one pick is admitted each time.
    """
    picks: list[int] = []
    barred = np.zeros(len(candidates), bool)
    while len(picks) < budget:
        left = np.flatnonzero(~barred)
        if not len(left):
            rule.relax()
            barred = rule.barred()
            barred[picks] = True
            continue
        wanted = min(budget - len(picks), len(left))
        seen = with_picks(labelled, candidates, picks, selector)
        proposed = among(selector, candidates, left, wanted, rng, seen)
        picks += [position for position in proposed.tolist() if rule.admits(position)]
        barred[proposed] = True
        if len(picks) < budget:
            barred |= rule.barred()
    return np.array(picks, np.int64)
