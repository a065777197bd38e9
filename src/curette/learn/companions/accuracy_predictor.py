"""PAAL's accuracy predictor: a small ResNet that looks at an image and what was said of it, and predicts its Dice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, one_hot, pad
from torch.optim import AdamW, Optimizer

from curette.learn.companions.contract import Companion, Seen
from curette.learn.models.resnet import levels
from curette.learn.progress import Clock
from curette.recipe import Train
from curette.seeds import derive
from curette.task import Task

EPSILON = 1e-5
_SHRINKS = 32
_DEPTH = 18


@dataclass(frozen=True)
class Options:
    """What `curette.learn.companions.cards.accuracy_predictor` says of each."""

    silent: float
    dropout: float
    lr: float
    weight_decay: float


class AccuracyPredictor(Companion):
    """ResNet-18 on image and probabilities, averaged over space, dropout, linear, sigmoid: [B, C] by class.

    It sees a network's answer but never touches the network: its input is cut off, its dropout has chance of its own.
    """

    def __init__(self, task: Task, channels: int, options: Options) -> None:
        super().__init__()
        self.task, self.options = task, options
        parts, found = levels(_DEPTH, task.dims, channels + len(task.classes))
        self.encoder = nn.Sequential(*parts)
        self.last = nn.Linear(found[-1], len(task.classes))
        self._past: dict[int, float] = {}

    def loss(self, seen: Seen, said: Tensor, labels: Tensor, clock: Clock) -> Tensor | None:
        """Squared distance of predicted from true Dice, averaged over classes and the samples of which anything is known."""
        if clock.share < self.options.silent:
            return None
        true = hard_dice(said.detach(), labels, self.task.ignore)
        known = (labels != self.task.ignore).flatten(1).any(1)
        chance = torch.Generator(said.device).manual_seed(derive(clock.cycle, clock.step, "dropout"))
        found = self.predict(seen.images, said, chance)
        each = mse_loss(found, true, reduction="none").mean(1)
        return (each * known).sum() / known.sum().clamp_min(1)

    def outputs(self, seen: Seen, said: Tensor) -> dict[str, Tensor]:
        return {"predicted_accuracy": self.predict(seen.images, said)}

    def predict(self, images: Tensor, said: Tensor, chance: torch.Generator | None = None) -> Tensor:
        """The Dice [B, C] it expects of logits [B, C, *S] for images [B, channels, *S]; features are dropped by `chance`."""
        x = torch.cat([images.detach().float(), said.detach().float().softmax(1)], dim=1)
        features = self.encoder(_room(x)).flatten(2).mean(2)
        if chance is not None and self.options.dropout:
            kept = (
                torch.rand(features.shape, generator=chance, device=features.device) >= self.options.dropout
            )
            features = features * kept / (1 - self.options.dropout)
        return self.last(features).float().sigmoid()  # type: ignore[no-any-return]

    def optimiser(self, settings: Train) -> Optimizer:
        weights = [p for p in self.parameters() if p.ndim > 1]
        others = [p for p in self.parameters() if p.ndim <= 1]
        groups = [
            {"params": weights, "weight_decay": self.options.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return AdamW(groups, lr=self.options.lr or settings.lr)

    def rate(self, clock: Clock, rate: float) -> float:
        """The network's share as many epochs (steps, where no epochs are counted) ago as the predictor was silent."""
        tick, ticks = (clock.epoch, clock.epochs) if clock.epochs else (clock.step, clock.steps)
        lag = math.ceil(self.options.silent * ticks - 1e-9)
        if clock.step == 0:
            self._past.clear()
        self._past.setdefault(tick, rate)
        for old in [past for past in self._past if past < tick - lag]:
            del self._past[old]
        return next(iter(self._past.values()))

    def get_extra_state(self) -> Tensor:
        """The rates that it is yet to follow [n, 2], so that a training that goes on elsewhere goes on the same."""
        return torch.tensor(list(self._past.items()), dtype=torch.float64).reshape(-1, 2)

    def set_extra_state(self, state: Tensor) -> None:
        self._past = {int(tick): rate for tick, rate in state.tolist()}


def hard_dice(said: Tensor, labels: Tensor, ignore: int) -> Tensor:
    """Dice [B, C] of the arg max of logits [B, C, *S] with labels [B, *S], background too, rounded to 4 decimals.

    (2 I + ε) / (A + B + ε) with ε = 1e-5: 1 where a class is in neither, about 0 where it is in one. Ignored voxels are in
    neither.
    """
    classes = said.shape[1]
    inside = (labels != ignore).flatten(1).unsqueeze(2)
    found = one_hot(said.argmax(1).flatten(1), classes) * inside
    true = one_hot(torch.where(labels == ignore, 0, labels).long().flatten(1), classes) * inside
    both, size = (found * true).sum(1), found.sum(1) + true.sum(1)
    return ((2 * both + EPSILON) / (size + EPSILON)).round(decimals=4)


def _room(x: Tensor) -> Tensor:
    """An image that would be a single voxel on the deepest level, where a norm has nothing to work on, with zeros added."""
    sides = x.shape[2:]
    return x if max(sides) > _SHRINKS else pad(x, [0, 2 * _SHRINKS - sides[-1]])
