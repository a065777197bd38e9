"""Small pictures to learn from: bright discs with a brighter core, in an `Images` of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.learn.torch_learner import TorchLearner
from curette.recipe import Augment, Train
from curette.region import Region
from curette.task import Task

DISCS = Task(kind="segmentation", dims=2, classes={"background": 0, "disc": 1, "core": 2})
BLOBS = Task(kind="classification", dims=2, classes={"left": 0, "right": 1})
QUIET = Augment(
    rotate=0, scale=0, shift=0, brightness=0, contrast=0, gamma=0, noise=0
)  # the picture as it is


class Pictures:
    """`count` images [1, side, side + 4]; the size is no multiple of anything on purpose."""

    def __init__(self, task: Task, count: int, *, side: int = 20, core: float = 0.12, seed: int = 0) -> None:
        self.task, self.regions = task, [Region(f"c{i:02d}") for i in range(count)]
        rng = np.random.default_rng(seed)
        self.images: dict[Region, NDArray[np.float32]] = {}
        self.labels: dict[Region, NDArray[Any]] = {}
        y, x = np.mgrid[:side, : side + 4]
        for number, region in enumerate(self.regions):
            side_of = number % 2
            centre_x = (0.3 + 0.4 * side_of) * side if task == BLOBS else rng.uniform(0.4, 0.7) * side
            distance = np.hypot(y - rng.uniform(0.4, 0.6) * side, x - centre_x)
            truth = (distance < 0.3 * side).astype(np.uint8) + (distance < core * side)
            picture = 0.4 * truth + rng.normal(0, 0.05, truth.shape)
            self.images[region] = picture[None].astype(np.float32)
            self.labels[region] = np.array(side_of) if task == BLOBS else truth.astype(np.uint8)

    def batch(self, regions: Sequence[Region]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        return np.stack([self.images[r] for r in regions]), None


def learner(pictures: Pictures, *, batch: int = 8, **settings: Any) -> TorchLearner:
    """A learner in full precision with a tiny network and no augmentation, unless told otherwise."""
    small: dict[str, Any] = (
        {"options": {"widths": [8, 16, 24]}} if pictures.task == DISCS else {"model": "cnn"}
    )
    wanted = {
        "steps": 60,
        "batch": 4,
        "lr": 3e-3,
        "precision": "32-true",
        "augment": QUIET,
        **small,
        **settings,
    }
    return TorchLearner(pictures.task, pictures, Train(**wanted), channels=1, batch=batch)


def dice(found: NDArray[Any], truth: NDArray[Any], cls: int) -> float:
    """Dice of one class over a stack of class maps."""
    a, b = found == cls, truth == cls
    return float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))
