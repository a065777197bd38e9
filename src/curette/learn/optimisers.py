"""Optimisers by name: functions of kind ``optimiser`` that take named parameters and the settings of training."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from curette.recipe import Train
from curette.registry import register
from curette.text import read

Named = Iterable[tuple[str, nn.Parameter]]


@register("optimiser", "adamw", paper="Loshchilov & Hutter 2019, Decoupled weight decay regularization")
def adamw(named: Named, settings: Train, *, decay_all: bool = True) -> Optimizer:
    """AdamW; with ``decay_all=false`` weight decay spares biases and whatever else has one dimension, as in PAAL (2024)."""
    named = list(named)
    groups = [{"params": [p for _, p in named], "weight_decay": settings.weight_decay}]
    if not decay_all:
        flat = [p for _, p in named if p.ndim < 2]
        deep = [p for _, p in named if p.ndim >= 2]
        groups = [
            {"params": deep, "weight_decay": settings.weight_decay},
            {"params": flat, "weight_decay": 0.0},
        ]
    # A fused step unscales by itself, too late for clipping.
    return AdamW(groups, lr=settings.lr, fused=settings.precision != "16-mixed")


@register("optimiser", "adam", paper="Kingma & Ba 2015, Adam")
def adam(named: Named, settings: Train) -> Optimizer:
    """Adam, with weight decay as a term of the loss."""
    weights = [p for _, p in named]
    return Adam(
        weights,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        fused=settings.precision != "16-mixed",
    )


@register("optimiser", "sgd")
def sgd(named: Named, settings: Train, *, momentum: float = 0.9, nesterov: bool = False) -> Optimizer:
    """Stochastic gradient descent with momentum; weight decay as a term of the loss."""
    weights = [p for _, p in named]
    return SGD(
        weights, lr=settings.lr, momentum=momentum, nesterov=nesterov, weight_decay=settings.weight_decay
    )


def optimiser(named: Named, settings: Train) -> Optimizer:
    """The optimiser that ``train.optimiser`` names. Raises `SettingError` for an unknown one."""
    made: Optimizer = read("optimiser", settings.optimiser)(named, settings)
    return made
