"""Learning rates over a training, by name.

A component of kind ``schedule`` is a pure function ``(clock, warmup) -> share of the peak rate`` for the step that the
clock is at; `warmup` is the setting ``train.warmup``, for schedules that have no rise of their own.
"""

from __future__ import annotations

import math

from curette.errors import SettingError
from curette.learn.progress import Clock
from curette.registry import register


@register("schedule", "cosine")
def cosine(clock: Clock, warmup: float, *, end: float = 0.0) -> float:
    """A linear rise over the share `warmup` of the training, then half a cosine down to the share `end` of the peak."""
    rise = round(warmup * clock.steps)
    if clock.step < rise:
        return (clock.step + 1) / (rise + 1)
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * (clock.step - rise) / (clock.steps - rise)))


@register("schedule", "constant")
def constant(clock: Clock, warmup: float) -> float:
    """The peak rate throughout, after a linear rise over the share `warmup`."""
    rise = round(warmup * clock.steps)
    return min(1.0, (clock.step + 1) / (rise + 1))


@register("schedule", "decay")
def decay(clock: Clock, warmup: float, *, factor: float = 0.9, every: int = 500) -> float:
    """`factor` times less after every so many steps, as in SBC-AL (2024); no rise.

    Raises `SettingError` for a factor that is not above 0, or steps below 1.
    """
    if factor <= 0 or every < 1:
        raise SettingError(
            f"The schedule 'decay' takes a factor above 0 and 1 or more steps, not {factor:g} and {every}."
        )
    return factor ** (clock.step // every)


@register("schedule", "epochs_cosine")
def epochs_cosine(
    clock: Clock,
    warmup: float,
    *,
    epochs: int = 75,
    warm: int = 10,
    start: float = 0.005,
    end: float = 0.0005,
    hold: int = 1,
) -> float:
    """Constant within an epoch: from `start` up to the peak in epoch `warm`, there for `hold` epochs more, a cosine to `end`.

    Rates are shares of the peak. The default is that of Stochastic Batches (2023), whose cosine is cut off two epochs
    before its end; PAAL's (2024) is ``epochs_cosine(epochs=400, warm=9, start=0.1, end=0.001, hold=0)``. A training that is
    counted in steps is taken to have `epochs` epochs of equal length.

    Raises `SettingError` for fewer epochs than the rise takes.
    """
    if not 0 <= warm + hold < epochs:
        raise SettingError(
            f"The schedule 'epochs_cosine' has {epochs} epochs, and rises and holds for {warm + hold}."
        )
    epoch = clock.epoch if clock.epochs else clock.step * epochs // clock.steps
    if epoch < warm:
        return start + (1 - start) * epoch / warm
    if epoch < warm + hold:
        return 1.0
    past = (epoch - warm - hold) / (epochs - 1 - warm + hold)
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, past)))
