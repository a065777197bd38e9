"""Learning loss: a head on the features of all levels that tells which of two samples the network does worse on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, relu
from torch.optim import SGD, Optimizer

from curette.learn.companions.contract import Companion, Seen
from curette.learn.companions.widths import widths
from curette.learn.progress import Clock
from curette.recipe import Train
from curette.task import Task


@dataclass(frozen=True)
class Options:
    """What `curette.learn.companions.cards.learning_loss` says of each."""

    width: int
    margin: float
    weight: float
    detach: float
    detach_after_query: bool
    dice: bool
    absent: bool
    lr: float


class LearningLoss(Companion):
    """Levels averaged over space → linear → ReLU, side by side → one number [B], with a ranking loss on pairs."""

    def __init__(self, network: nn.Module, task: Task, channels: int, options: Options) -> None:
        super().__init__()
        self.task, self.options = task, options
        found = widths(network, task, channels)
        self.narrow = nn.ModuleList(nn.Linear(width, options.width) for width in found)
        self.join = nn.Linear(options.width * len(found), 1)

    def loss(self, seen: Seen, said: Tensor, labels: Tensor, clock: Clock) -> Tensor | None:
        """The weighted ranking loss of the batch; None for a single sample, which is compared with nothing."""
        if len(labels) < 2:
            return None
        found = [level.detach() for level in seen.levels] if self.cut(clock) else list(seen.levels)
        with torch.no_grad():
            true, known = sample_losses(said, labels, self.task, self.options)
        return self.options.weight * ranking_loss(self.predict(found), true, known, self.options.margin)

    def cut(self, clock: Clock) -> bool:
        """Whether its loss no longer reaches the network."""
        return clock.cycle > 0 if self.options.detach_after_query else clock.share > self.options.detach

    def outputs(self, seen: Seen, said: Tensor) -> dict[str, Tensor]:
        return {"predicted_loss": self.predict(seen.levels)}

    def predict(self, found: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
        """The loss it expects of each sample [B], in a unit of its own, from features [B, d, *s] of every level."""
        narrowed = [
            relu(layer(level.flatten(2).mean(2))) for layer, level in zip(self.narrow, found, strict=True)
        ]
        return self.join(torch.cat(narrowed, dim=1)).squeeze(1).float()  # type: ignore[no-any-return]

    def optimiser(self, settings: Train) -> Optimizer:
        return SGD(self.parameters(), lr=self.options.lr, momentum=0.9, weight_decay=5e-4)

    def rate(self, clock: Clock, rate: float) -> float:
        return 1.0


def ranking_loss(found: Tensor, true: Tensor, known: Tensor, margin: float) -> Tensor:
    """max(0, margin - s (f_i - f_j)), the mean over pairs of the i-th with the i-th from the end, s = 1 if t_i > t_j, else -1.

    `found` and `true` are [B], and so is `known`; the middle one of an odd batch is in no pair, and pairs with a sample of
    which nothing is known do not count.
    """
    half = len(found) // 2
    first, last = slice(None, half), slice(-half, None)
    apart = found[first] - found[last].flip(0)
    sign = torch.where(true[first] > true[last].flip(0), 1.0, -1.0)
    both = known[first] & known[last].flip(0)
    return (relu(margin - sign * apart) * both).sum() / both.sum().clamp_min(1)


def sample_losses(said: Tensor, labels: Tensor, task: Task, options: Options) -> tuple[Tensor, Tensor]:
    """The loss of each sample [B] from logits [B, C, *S] or [B, C], and whether anything is known of it [B].

    Cross-entropy averaged over annotated voxels; for segmentation, unless `dice` is off, one minus the soft Dice averaged
    over foreground classes is added.
    """
    said, labels = said.float(), labels.long()
    inside = labels != task.ignore
    each = cross_entropy(said, labels, ignore_index=task.ignore, reduction="none")
    if task.kind == "classification":
        return each, inside
    known, count = inside.flatten(1), inside.flatten(1).sum(1)
    found = each.flatten(1).sum(1) / count.clamp_min(1)
    if options.dice:
        true = one_hot(torch.where(inside, labels, 0), said.shape[1]).flatten(1, -2).movedim(-1, 1)
        found = found + _dice_loss(said.softmax(1).flatten(2), true, known, options.absent)
    return found, count > 0


def _dice_loss(p: Tensor, true: Tensor, known: Tensor, absent: bool) -> Tensor:
    """One minus soft Dice [B] from p and one-hot truth [B, C, V] over known voxels [B, V]; 0 without a foreground class."""
    p, true = p[:, 1:] * known[:, None], true[:, 1:] * known[:, None]
    size = true.sum(2)
    lost = 1 - 2 * (p * true).sum(2) / (p.sum(2) + size).clamp_min(1e-9)
    counted = torch.ones_like(lost) if absent else (size > 0).to(lost.dtype)
    return (lost * counted).sum(1) / counted.sum(1).clamp_min(1)
