"""What training carries along with the network: companions by name.

A component of kind ``companion`` is a function ``(network, task, channels) -> curette.learn.companions.contract.Companion``
whose keyword-only options a text may give: ``learning_loss(margin=0.5)``. ``info`` says

- ``gives``, its outputs, which ``column`` components look at (their ``outputs``): by name, the axes that each has besides
  that of the batch, some of ``"classes"`` and ``"space"``, or ``()``
- ``kinds`` and ``dims`` of tasks that it is for

The functions are here, where reading a strategy does not import torch; the modules they build are beside this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from curette.errors import SettingError
from curette.learn.columns import outputs
from curette.learn.companions import cards, columns, consistency  # noqa: F401  (importing registers them)
from curette.registry import Bound, bind, components
from curette.task import Task

__all__ = ["check", "companions_for", "output_axes"]


def companions_for(needs: Iterable[str]) -> list[Bound]:
    """The companions, with their default options, whose outputs the columns among `needs` look at, by name."""
    looked_at = outputs(needs)
    able = {name: frozenset(card.info.get("gives", ())) for name, card in components("companion").items()}
    return [bind("companion", name) for name, gives in able.items() if gives & looked_at]


def output_axes(needs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The outputs that the columns among `needs` look at, with the axes each has besides that of the batch."""
    looked_at = outputs(needs)
    gives = [card.info.get("gives", {}) for card in components("companion").values()]
    axes = [given if isinstance(given, Mapping) else dict.fromkeys(given, ()) for given in gives]
    return {name: tuple(given[name]) for given in axes for name in given if name in looked_at}


def check(companions: Sequence[Bound], task: Task) -> None:
    """Raise `SettingError` for a companion that is not for this kind of task."""
    for companion in companions:
        info = companion.component.info
        if not _is_for(info, task):
            kinds, dims = info.get("kinds", (task.kind,)), info.get("dims", (2, 3))
            meant = " and ".join(f"{d}D {kind}" for kind in kinds for d in dims)
            fit = sorted(name for name, card in components("companion").items() if _is_for(card.info, task))
            others = f", or with {' or '.join(repr(name) for name in fit)}" if fit else ""
            raise SettingError(
                f"The companion '{companion.name}' is for {meant}, but the task is {task.dims}D {task.kind}. "
                f"Use a strategy without it{others}."
            )


def _is_for(info: Mapping[str, Any], task: Task) -> bool:
    return task.kind in info.get("kinds", (task.kind,)) and task.dims in info.get("dims", (task.dims,))
