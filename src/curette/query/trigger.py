"""When the next query is due.

A component of kind ``trigger`` is a pure function ``(progress: Progress) -> bool``. It is asked before each query, and
after each epoch of the training before it, which ends there if the query is due; the last training of a run is not cut
short. ``info`` says

- ``epochs=True`` if it counts epochs, so that `train.epochs` must be set
- ``validates=True`` if it looks at the validation patients, so that there must be some
"""

from __future__ import annotations

from curette.errors import SettingError
from curette.learn.progress import Progress
from curette.registry import register


@register("trigger", "after_training")
def after_training(progress: Progress) -> bool:
    """Query once every pick is labelled and the newest model was trained on all labels, to its end."""
    return progress.answered and not progress.training


@register("trigger", "every", epochs=True)
def every(progress: Progress, *, epochs: int = 5, first: int = 0) -> bool:
    """Query every so many epochs of one training that goes on; the first time after `first` of them, where that is set.

    The trigger of the baselines in PAAL (2024): every 5 epochs from the 10th, ``every(5, first=10)``.
    """
    if epochs < 1 or first < 0:
        raise SettingError(f"The trigger 'every' counts 1 or more epochs, not {epochs} and {first} at first.")
    wanted = first if first and progress.cycle == 0 else epochs
    return progress.answered and (not progress.training or progress.epochs >= wanted)


@register("trigger", "plateau", epochs=True, validates=True, paper="PAAL 2024, incremental querying")
def plateau(progress: Progress, *, patience: int = 10) -> bool:
    """Query when the validation patients have seen no gain of `train.gain` for `patience` looks.

    The count starts anew with each query, while the best value stays: the new labels have to beat it.
    """
    if patience < 1:
        raise SettingError(f"The trigger 'plateau' needs a patience of 1 or more, not {patience}.")
    return progress.answered and (not progress.training or progress.stale >= patience)
