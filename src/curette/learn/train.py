"""The training loop, top to bottom: draw a batch, change it, predict, compare, step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from curette.data.augment import augment
from curette.errors import CuretteError, SettingError
from curette.learn import schedules  # noqa: F401  (registers them)
from curette.learn.allocator import keep_freed
from curette.learn.companions.contract import Accompanied, Companion
from curette.learn.crops import Samples
from curette.learn.layout import layout, memory_format
from curette.learn.objective import objective
from curette.learn.optimisers import optimiser
from curette.learn.progress import Clock
from curette.learn.watch import Course, Watch
from curette.recipe import Train
from curette.seeds import derive, spawn
from curette.task import Task
from curette.text import read

CHECK_EVERY = 100
"""Steps between two looks at the loss."""
RAREST = 1e-4
"""Frequency that training expects at least of every class."""


class DivergedError(CuretteError):
    """Training ended in a loss that is not a number."""


def train(
    network: nn.Module,
    samples: Samples,
    task: Task,
    settings: Train,
    fabric: Fabric,
    *,
    seed: int,
    watch: Watch | None = None,
    course: Course | None = None,
) -> Course:
    """Train `network` in place and leave it in evaluation mode.

    The samples are whole units (`curette.learn.crops.Whole`) or crops (`Crops`): images float32 [B, channels, *S], with class
    maps [B, *S] holding `task.ignore` where nobody annotated, or classes [B].

    Training takes `settings.steps` steps or `settings.epochs` passes over the samples, unless `watch` ends it before. Given
    the `course` of an earlier training it goes on where that one ended, and what comes back is where this one did.

    The same samples, seed and number of threads give bit-equal weights. Raises `DivergedError` when the loss is no longer
    a number.
    """
    device = fabric.device
    if device.type == "cpu":
        keep_freed()
    watch, course = watch or Watch(settings), course or Course()
    batches = shuffled_passes(
        len(samples), settings.batch, torch.Generator().manual_seed(derive(seed, 0, "order"))
    )
    places = spawn(seed, 0, "crops")
    changes = torch.Generator(device).manual_seed(derive(seed, 0, "augment"))
    sample = torch.empty(1, *samples.shape, device="meta")
    network.to(device, memory_format=memory_format(sample)).train()  # type: ignore[call-overload]
    loss_of, rate = objective(settings, task), read("schedule", settings.schedule)
    company = network if isinstance(network, Accompanied) else None
    optimisers, leaders = _optimisers(network, settings)
    model, *optimisers = fabric.setup(network, *optimisers)
    peaks = [[group["lr"] for group in one.param_groups] for one in optimisers]
    for one, state in zip(optimisers, course.optimisers, strict=bool(course.optimisers)):
        one.load_state_dict(state)
    total = torch.zeros((), device=device)
    if company:
        company.keep = True
    # Dropout draws from torch's global generator: ours while training, the caller's again afterwards.
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(derive(seed, 0, "dropout"))
        for clock in clocks(settings, len(samples), course.epoch, watch.cycle):
            share = rate(clock, settings.warmup)
            for one, leader, peak in zip(optimisers, leaders, peaks, strict=True):
                for group, lr in zip(one.param_groups, peak, strict=True):
                    group["lr"] = lr * (share if leader is None else leader.rate(clock, share))
            images, labels = samples.draw(next(batches), places)
            x, y = images.to(device), labels.to(device)
            x, y = augment(x, y, settings.augment, changes, ignore=task.ignore)
            loss = loss_of(model(layout(x)), y)
            if company:
                with fabric.autocast():
                    loss = loss + sum(company.losses(y.long(), clock))
            for one in optimisers:
                one.zero_grad()
            fabric.backward(loss)
            for one in optimisers:
                if settings.clip:
                    fabric.clip_gradients(model, one, max_norm=settings.clip, error_if_nonfinite=False)
                one.step()
            total += loss.detach()
            last = clock.step + 1 == clock.steps
            if (clock.step + 1) % CHECK_EVERY == 0 or last:
                check(total, clock.step + 1, clock.steps, settings)
            if watch.step(network, epoch_over=_over(clock, settings, len(samples))):
                check(total, clock.step + 1, clock.steps, settings)
                break
    watch.best_weights(network)
    if company:
        company.keep = False
        company.forget()
    network.eval()
    if settings.start != "continue":
        return Course()
    return Course(course.epoch + watch.epochs, watch.best, [one.state_dict() for one in optimisers])


def clocks(settings: Train, samples: int, epoch: int = 0, cycle: int = 0) -> Iterator[Clock]:
    """The steps of a training, one after the other; those of `settings.epochs` epochs begin with `epoch`."""
    if settings.epochs is None:
        yield from (Clock(step, settings.steps, cycle=cycle) for step in range(settings.steps))
        return
    length = epoch_length(settings, samples)
    for step in range(epoch * length, settings.epochs * length):
        yield Clock(step, settings.epochs * length, step // length, settings.epochs, cycle)


def epoch_length(settings: Train, samples: int) -> int:
    """Steps of an epoch: batches that see every sample once."""
    return max(1, math.ceil(samples / settings.batch))


def _over(clock: Clock, settings: Train, samples: int) -> bool:
    return settings.epochs is not None and (clock.step + 1) % epoch_length(settings, samples) == 0


def _optimisers(network: nn.Module, settings: Train) -> tuple[list[Optimizer], Sequence[Companion | None]]:
    """The network's optimiser, which takes what no companion has its own for, then theirs; and whose each is."""
    company: list[Companion] = []
    if isinstance(network, Accompanied):
        company = [c for c in network.companions.values() if isinstance(c, Companion)]
    made = [(one, companion) for companion in company if (one := companion.optimiser(settings)) is not None]
    if made and settings.precision == "16-mixed":
        names = ", ".join(network.companions)  # type: ignore[arg-type]
        raise SettingError(
            f"train.precision is 16-mixed, whose scaling of the loss is made for one optimiser, and {names} has one of its own. "
            "Set it to bf16-mixed or 32-true."
        )
    own = {id(p) for one, _ in made for group in one.param_groups for p in group["params"]}
    rest = optimiser(((n, p) for n, p in network.named_parameters() if id(p) not in own), settings)
    return [rest, *(one for one, _ in made)], [None, *(companion for _, companion in made)]


def expect(network: nn.Module, counts: NDArray[np.int64]) -> None:
    """Set the bias of the network's head to the logarithm of the class frequencies, from `counts` [C] of known labels.

    Training then starts by telling places apart. Starting from equal classes it first has to talk the small ones down
    everywhere, and at a few hundred steps some of them never come back. Does nothing for a network without such a head;
    in company, both the network's own and the one with the last word are set.
    """
    share = torch.from_numpy(counts).float() / max(1, int(counts.sum()))
    for one in (network, getattr(network, "network", None)):
        bias = getattr(getattr(one, "head", None), "bias", None)
        if bias is not None:
            with torch.no_grad():
                bias.copy_(share.clamp_min(RAREST).log())


def shuffled_passes(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of `size` positions for ever: passes over all `count` samples, each newly shuffled.

    A batch may span two passes, so every sample is drawn equally often, also when there are fewer than a batch.
    """
    left = torch.empty(0, dtype=torch.int64)
    while True:
        while len(left) < size:
            left = torch.cat((left, torch.randperm(count, generator=generator)))
        yield left[:size]
        left = left[size:]


def check(total: Tensor, done: int, steps: int, settings: Train) -> None:
    """Raise `DivergedError` if a loss so far was not finite. Looked at now and then: it makes the GPU wait."""
    if not bool(torch.isfinite(total)):
        raise DivergedError(
            f"Training diverged: within the first {done} of {steps} steps the loss was no longer a number. "
            f"Lower train.lr (now {settings.lr:g}), or set train.precision to 32-true; if images hold NaN or huge values, "
            "repair those first."
        )
