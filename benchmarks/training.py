"""Training against a bare PyTorch loop with the same network, batches and optimiser, in turn within one run.

    python benchmarks/training.py [--steps 40] [--rounds 5] [--threads 2] [--only slices crops]

The bare loop has no Fabric, no checks, no schedule. Twice: slices that are all in memory, and crops of volumes, every one
started anywhere, which the bare loop cuts out of arrays and curette out of whatever holds the images, knowing where classes
are. `augmented` adds our augmentation to curette's side only.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from curette.learn.crops import Crops, Samples, Whole
from curette.learn.layout import layout, memory_format
from curette.learn.losses import segmentation_loss
from curette.learn.models import build
from curette.learn.train import shuffled_passes, train
from curette.recipe import Augment, Train
from curette.region import Region
from curette.task import Task

CLASSES = {"background": 0, "anterior": 1, "posterior": 2}
OFF = Augment(rotate=0, scale=0, shift=0, brightness=0, contrast=0, gamma=0, noise=0)
Draw = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class Volumes:
    """Volumes [N, 1, *S] and their labels [N, *S] in memory, as a study's are on disk."""

    def __init__(self, count: int, size: tuple[int, ...], crop: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        self.images = rng.random((count, 1, *size), np.float32)
        self.labels = rng.integers(0, 3, (count, *size)).astype(np.int16)
        self.regions = [Region(f"{number:03d}") for number in range(count)]
        self.crop, self.rng = crop, rng

    def window(self, unit: Region, place: tuple[slice, ...]) -> NDArray[np.float32]:
        return self.images[(int(unit.case), slice(None), *place)]

    def unit_shape(self, unit: Region) -> tuple[int, ...]:
        return self.images.shape[2:]

    def batch(self, regions: list[Region]) -> tuple[NDArray[np.float32], None]:
        return self.images[[int(r.case) for r in regions]], None

    def draw(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a bare loop does: cut each crop anywhere."""
        images, labels = [], []
        for row in chosen.tolist():
            shape = self.labels.shape[1:]
            starts = [self.rng.integers(n - w + 1) for n, w in zip(shape, self.crop, strict=True)]
            place = tuple(slice(a, a + w) for a, w in zip(starts, self.crop, strict=True))
            images.append(self.images[(row, slice(None), *place)])
            labels.append(self.labels[(row, *place)])
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))


def bare(draw: Draw, count: int, task: Task, settings: Train) -> None:
    """The least that trains the same network on the same batches."""
    network = build(task, 1, settings).train()
    network.to(memory_format=memory_format(torch.empty((1,) * (task.dims + 2))))  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.lr, fused=True)
    batches = shuffled_passes(count, settings.batch, torch.Generator().manual_seed(0))
    for _ in range(settings.steps):
        images, labels = draw(next(batches))
        loss = segmentation_loss(network(layout(images)), labels, ignore=255, dice=settings.dice)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimiser.step()


def ours(samples: Samples, task: Task, settings: Train) -> None:
    """Build and train as the learner does."""
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    train(build(task, 1, settings), samples, task, settings, fabric, seed=0)


def slices(settings: Train) -> tuple[Draw, Samples, Task]:
    """50 slices of 48 × 64, all in memory."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(50, 1, 48, 64, generator=generator)
    labels = torch.randint(0, 3, (50, 48, 64), generator=generator).to(torch.int16)
    task = Task(kind="segmentation", dims=2, classes=CLASSES)
    return lambda chosen: (images[chosen], labels[chosen]), Whole(images, labels, task), task


def crops(settings: Train) -> tuple[Draw, Samples, Task]:
    """Crops of 32 × 32 × 32 of 20 volumes of 96 × 96 × 64."""
    crop = (32, 32, 32)
    volumes = Volumes(20, (96, 96, 64), crop)
    answers = dict(zip(volumes.regions, volumes.labels, strict=True))
    task = Task(kind="segmentation", dims=3, classes=CLASSES)
    samples = Crops(volumes, answers, task, crop, settings.foreground, channels=1)
    return volumes.draw, samples, task


KINDS = {"slices": (slices, {}), "crops": (crops, {"batch": 2, "crop": (32, 32, 32), "foreground": 0.33})}


def seconds(run: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for kind in given.only:
        race(kind, given.steps, given.rounds)


def race(kind: str, steps: int, rounds: int) -> None:
    """All three, in turn; prints the fastest of each and the ratios."""
    make, more = KINDS[kind]
    plain = Train(steps=steps, precision="32-true", augment=OFF, **more)  # type: ignore[arg-type]
    draw, samples, task = make(plain)
    changed = plain.model_copy(update={"augment": Augment()})
    sides: dict[str, Callable[[], None]] = {
        "bare": lambda: bare(draw, len(samples), task, plain),
        "curette": lambda: ours(samples, task, plain),
        "augmented": lambda: ours(samples, task, changed),
    }
    for run in sides.values():
        run()
    times = {name: [] for name in sides}
    for number in range(rounds):
        names = [*sides][number % 3 :] + [*sides][: number % 3]
        for name in names:
            times[name].append(seconds(sides[name]))
    for name, values in times.items():
        ratio = statistics.median(v / b for v, b in zip(values, times["bare"], strict=True))
        best = min(values) / min(times["bare"])
        each = 1e3 * min(values) / steps
        print(f"{kind:7} {name:10} {each:7.1f} ms a step, {best:.2f} × bare (median of rounds {ratio:.2f})")


if __name__ == "__main__":
    main()
