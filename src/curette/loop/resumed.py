"""What must still be as it was when a run that goes on began: settings, pool, features, and the meaning of its strategy."""

from __future__ import annotations

from curette.errors import SettingError
from curette.loop.ledger import Run
from curette.loop.shared import Setup, check_data
from curette.query.strategy import Strategy, parse_strategy


def check_resumed(setup: Setup, run: Run, strategy: Strategy) -> None:
    """Raise `SettingError` for a run that was recorded with something else than it would go on with."""
    if run.recipe != setup.recipe:
        raise SettingError(
            f"Strategy '{run.name}' with seed {run.seed} was recorded with other settings ({run.recipe}, now "
            f"{setup.recipe}). Use a new folder."
        )
    opened = setup.ledger.events(run.id, "opened")
    check_data(opened, setup.pool, setup.test)
    for event in opened:
        _check_meaning(run, strategy, event.data.get("strategy", str(strategy)))
    for event in setup.ledger.events(run.id, "queried"):
        asked = strategy if event.cycle > 0 else setup.start
        known = event.data.get("features")
        if asked and known and known != setup.features.name(asked.passes, run.seed):
            raise SettingError(
                f"The features of '{asked.passes}' are not those that the picks of '{run.name}' in cycle {event.cycle} were "
                "chosen by. Bring the file back as it was, or use a new folder."
            )


def _check_meaning(run: Run, strategy: Strategy, begun: str) -> None:
    """The strategy's text means what it meant when the run began; `begun` is that text with all options."""
    try:
        same = str(parse_strategy(begun)) == str(strategy)
    except SettingError:  # an option or a component is gone
        same = False
    if not same:
        raise SettingError(
            f"'{run.name}' means something else in this version of curette: it was begun as '{begun}' and is now "
            f"'{strategy.spelt_out}'. Write the old options out in a new study, or go on with version {run.code}."
        )
