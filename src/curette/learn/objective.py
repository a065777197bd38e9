"""What training minimises, put together from terms by name.

A component of kind ``loss`` is a function ``(logits, labels, ignore) -> number`` of logits [B, C, *S] or [B, C] and integer
labels [B, *S] or [B] that hold `ignore` where nothing is known; unannotated voxels touch no term. Each has an option
``weight``, by which it is multiplied here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import one_hot

from curette.errors import SettingError
from curette.learn.losses import classification_loss, dice_loss, segmentation_loss
from curette.recipe import Train
from curette.registry import register
from curette.task import Task
from curette.text import bound, parse_sum

Objective = Callable[[Tensor, Tensor], Tensor]
"""Loss of logits and labels: a number, 0 where nothing of the batch is known."""


def objective(settings: Train, task: Task) -> Objective:
    """The sum of the terms that ``train.loss`` names; without it, cross-entropy and Dice in the shares of ``train.dice``.

    Raises `SettingError` for an unknown term or option, and for a term that does not fit the task.
    """
    if not settings.loss:
        if task.kind == "classification":
            return partial(classification_loss, ignore=task.ignore)
        return partial(segmentation_loss, ignore=task.ignore, dice=settings.dice)
    terms = [bound("loss", call) for call in parse_sum(settings.loss)]
    for term in terms:
        if task.kind not in term.component.info.get("kinds", (task.kind,)):
            raise SettingError(
                f"train.loss: '{term.name}' compares masks, and the task is {task.kind}. Use 'cross_entropy'."
            )

    def total(logits: Tensor, labels: Tensor) -> Tensor:
        labels = labels.long()
        found = logits.new_zeros(())
        for term in terms:
            found = found + float(term.settings["weight"]) * term(logits, labels, task.ignore)
        return found

    return total


@register("loss", "cross_entropy")
def cross_entropy(
    logits: Tensor, labels: Tensor, ignore: int, *, weight: float = 1.0, smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy over what is annotated. With `smoothing` ε each class shares ε of the truth equally."""
    known = (labels != ignore).sum().clamp_min(1)
    total = functional.cross_entropy(
        logits, labels, ignore_index=ignore, reduction="sum", label_smoothing=smoothing
    )
    return total / known


@register("loss", "log_dice", kinds=("segmentation",), paper="Wong et al. 2018")
def log_dice(logits: Tensor, labels: Tensor, ignore: int, *, weight: float = 1.0) -> Tensor:
    """-ln of the soft Dice of each foreground class over the whole batch, averaged over the classes that occur in it."""
    return dice_loss(logits.softmax(1), labels, labels != ignore)


@register("loss", "soft_dice", kinds=("segmentation",), paper="Milletari et al. 2016, V-Net")
def soft_dice(
    logits: Tensor,
    labels: Tensor,
    ignore: int,
    *,
    weight: float = 1.0,
    background: bool = False,
    squared: bool = False,
    epsilon: float = 1e-5,
) -> Tensor:
    """1 - soft Dice (2 Σ p y + ε) / (Σ p + Σ y + ε) of each sample and class, averaged.

    Over the foreground classes, or with `background` over all; with `squared` the sizes are sums of squares. As PAAL (2024)
    has it; Stochastic Batches (2023) with ``epsilon=1e-9``, and SSL4MIS, on which PCDAL builds, with background and
    squares. A class that neither truth nor prediction has scores 1. Samples without any annotation count nothing.
    """
    known = labels != ignore
    first = 0 if background else 1
    truth = one_hot(torch.where(known, labels, 0), logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    inside = known.unsqueeze(1)
    y, p = truth[:, first:] * inside, logits.softmax(1)[:, first:] * inside
    space = tuple(range(2, logits.ndim))
    sizes = (p.square() + y.square() if squared else p + y).sum(space)
    score = (2 * (p * y).sum(space) + epsilon) / (sizes + epsilon)
    counts = known.flatten(1).any(1)
    return ((1 - score).mean(1) * counts).sum() / counts.sum().clamp_min(1)
