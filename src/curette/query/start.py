"""The choice of the first units, before anything is labelled: an ordinary strategy that asks neither model nor labels."""

from __future__ import annotations

from curette.errors import SettingError
from curette.learn.encoders import encodes
from curette.query.rehearsal import rehearse
from curette.query.strategy import Strategy, check, parse_strategy
from curette.recipe import Query
from curette.task import Task

SETTING = "query.start"


def start_strategy(query: Query, unit: str | None = None) -> Strategy | None:
    """The strategy that `query.start` names; None for the default, chance alone.

    Chance keeps a draw of its own, so that studies that began before there was this setting still begin with the same
    units. Raises `SettingError` for a text that is no strategy.
    """
    try:
        found = parse_strategy(query.start, unit)
    except SettingError as problem:
        raise SettingError(f"{SETTING}: {problem}") from None
    default = parse_strategy(Query.model_fields["start"].default, unit)
    return None if str(found) == str(default) else found


def check_start(start: Strategy | None, task: Task, unit: str, initial: int = 0) -> None:
    """Refuse a start that cannot work in a study with this task and unit before anything is trained.

    A draw by true classes is let pass, since simulations of published experiments begin with one; reports say so.

    Raises `SettingError` for a strategy that asks a model, looks at ground truth otherwise, or needs something labelled already,
    and for what `curette.query.strategy.check` refuses in any strategy; `DataError` for files that are not there.
    """
    if start is None:
        return
    instead = "Write 'random', 'strided_random', or passes that see images only: 'self_supervised > none > k_center'."
    if start.passes.name != "none" and not encodes(start.passes):
        raise SettingError(
            f"{SETTING}: '{start.name}' asks a model ('{start.passes}'), and there is none before the first training. "
            f"{instead}"
        )
    if start.truth and not start.selector.says("starts"):
        raise SettingError(
            f"{SETTING}: '{start.name}' looks at ground truth, which nobody has before the first label. {instead}"
        )
    try:
        check(start, task, unit, initial)
        rehearse(start, task, unit, cold=True)
    except SettingError as problem:
        first = f" Before the first training there is no model to ask. {instead}" if _asks(start) else ""
        raise SettingError(f"{SETTING}: {problem}{first}") from None


def _asks(start: Strategy) -> bool:
    """Whether a part needs what only a model gives: predictions, scores, or more than features of the images."""
    given = {"embedding"} if encodes(start.passes) else set[str]()
    measures = start.scorer.name != "none" and not start.scorer.component.info.get("pool")
    ranks = start.scorer.name == "none" and start.selector.says("scores")
    return bool(start.needs - given or start.makes or measures or ranks)
