"""When the next query is due."""

from __future__ import annotations

from dataclasses import dataclass

from curette.registry import register


@dataclass(frozen=True)
class Progress:
    """Where a run stands: regions picked, labelled, and labelled when the newest model was trained."""

    cycle: int
    picked: int
    labelled: int
    trained_on: int


@register("trigger", "after_training")
def after_training(progress: Progress) -> bool:
    """Query once every pick is labelled and the newest model was trained on all labels."""
    return progress.picked == progress.labelled == progress.trained_on
