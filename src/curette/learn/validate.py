"""How good a network is on the validation patients, on the prepared grid: what early stopping and triggers go by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import curette.learn.passes  # noqa: F401  (registers `single`)
from curette.learn.learner import Images, Labels
from curette.learn.metrics import confusion, dice
from curette.learn.predict import predict
from curette.registry import bind
from curette.task import Task


def validation_score(
    network: nn.Module,
    images: Images,
    labels: Labels,
    task: Task,
    *,
    batch: int,
    device: torch.device,
    precision: str,
    crop: Sequence[int] | None,
) -> Callable[[], float]:
    """A function that says how good the network is now on these labels, from one plain pass.

    In segmentation the Dice of all units put together, averaged over the foreground classes, as in PAAL (2024); in
    classification the accuracy. The network must be in evaluation mode.
    """
    regions = sorted(labels)
    known = {region: np.asarray(labels[region]) for region in regions}
    classes = len(task.classes)

    def score() -> float:
        counts = np.zeros((classes, classes), np.int64)
        for prediction in predict(
            [network],
            images,
            regions,
            bind("passes", "single"),
            frozenset({"mean"}),
            batch=batch,
            seed=0,
            device=device,
            precision=precision,
            crop=crop,
        ):
            found: NDArray[Any] = prediction.mean.argmax(1).to(torch.uint8).cpu().numpy()
            for region, answer in zip(prediction.regions, found, strict=True):
                counts += confusion(answer, known[region], classes, ignore=task.ignore)
        if task.kind == "classification":
            return float(np.trace(counts) / max(1, counts.sum()))
        return float(dice(counts).mean())

    return score
