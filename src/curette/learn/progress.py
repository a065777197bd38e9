"""Where a training stands: in steps, in epochs, and, for triggers, since the last query."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """The step that training is at.

    step    steps behind it, of `steps`; a training that goes on from another counts that one's steps too
    epoch   epochs behind it, of `epochs` (0 where training is counted in steps)
    cycle   queries behind it
    """

    step: int
    steps: int
    epoch: int = 0
    epochs: int = 0
    cycle: int = 0

    @property
    def share(self) -> float:
        """Share of the training that is behind it."""
        return self.epoch / self.epochs if self.epochs else self.step / self.steps


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for triggers.

    picked, labelled, trained_on  regions: picked, labelled, and labelled when the newest model was trained
    training  whether that training is under way: a trigger may end it
    epochs    epochs since the last query
    stale     looks at the validation patients since the last query, or the last one that was better by `train.gain`
    """

    cycle: int
    picked: int
    labelled: int
    trained_on: int
    training: bool = False
    epochs: int = 0
    stale: int = 0

    @property
    def answered(self) -> bool:
        """Every pick is labelled, and the newest model was, or is being, trained on all labels."""
        return self.picked == self.labelled == self.trained_on
