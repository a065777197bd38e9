"""Networks with companions to try out, and the least that trains them: one backward pass, an optimiser each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from curette.learn.companions.contract import Accompanied, accompany
from curette.learn.losses import classification_loss, segmentation_loss
from curette.learn.models import build, models
from curette.learn.progress import Clock
from curette.recipe import Train
from curette.task import Task
from curette.text import read


def slim(name: str) -> dict[str, Any]:
    """Options for a network of few channels, where it has such."""
    options = models()[name].options
    few = {"widths": [8, 8, 16], "features": [4, 4, 8, 8, 16, 4]}
    return {option: values for option, values in few.items() if option in options}


def company(task: Task, *texts: str, model: str = "unet", channels: int = 1, seed: int = 0) -> nn.Module:
    """A network with fresh weights, and companions made after it; without any, the network itself."""
    torch.manual_seed(seed)
    network = build(task, channels, Train(model=model, options=slim(model)))
    found = accompany(network, [read("companion", text) for text in texts], task, channels)
    if isinstance(found, Accompanied):
        found.keep = True
    return found.train()


def train_along(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    task: Task,
    clock: Clock,
    *,
    lr: float = 2e-3,
    seed: int = 1,
) -> list[list[float]]:
    """Train on the batches, one step each from `clock` on; returns the terms of companions at every step."""
    companions = list(model.companions.values()) if isinstance(model, Accompanied) else []
    network = model.network if isinstance(model, Accompanied) else model
    settings = Train(lr=lr)
    main = torch.optim.AdamW(network.parameters(), lr=lr)
    others = [
        (c, made, [g["lr"] for g in made.param_groups]) for c in companions if (made := c.optimiser(settings))
    ]
    noted = []
    torch.manual_seed(seed)
    for number, (x, y) in enumerate(batches):
        now = replace(clock, step=clock.step + number)
        said = model(x)
        loss = segmentation_loss(said, y, ignore=task.ignore, dice=0.5) if said.ndim > 2 else None
        loss = classification_loss(said, y, ignore=task.ignore) if loss is None else loss
        terms = model.losses(y, now) if isinstance(model, Accompanied) else []
        for optimiser in (main, *(own for _, own, _ in others)):
            optimiser.zero_grad()
        torch.stack([loss, *terms]).sum().backward()
        main.step()
        for companion, own, peaks in others:
            for group, peak in zip(own.param_groups, peaks, strict=True):
                group["lr"] = peak * companion.rate(now, 1.0)
            own.step()
        noted.append([term.item() for term in terms])
    return noted
