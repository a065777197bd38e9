"""Learning loss: the worked pairs, every network's levels, where its gradient goes, and that it learns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from company import company, train_along
from toys import BLOBS, DISCS, Pictures

from curette.errors import SettingError
from curette.learn.companions.contract import Accompanied, levels
from curette.learn.companions.learning_loss import LearningLoss, Options, ranking_loss, sample_losses
from curette.learn.companions.widths import widths
from curette.learn.models import models
from curette.learn.progress import Clock
from curette.recipe import Train
from curette.task import Task
from curette.text import read

NETWORKS = sorted(n for n, c in models().items() if c.function.__module__.startswith("curette."))
PLAIN = Options(128, 1.0, 1.0, 0.27, False, True, False, 1e-3)
START = Clock(step=0, steps=100)


def _task(name: str, dims: int) -> Task:
    (kind,) = models()[name].info["kinds"]
    return Task.model_validate({"kind": kind, "dims": dims, "classes": {"background": 0, "a": 1, "b": 2}})


def _batch(task: Task, size: tuple[int, ...], count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(0)
    shape = (count, *size) if task.kind == "segmentation" else (count,)
    return torch.randn(count, 1, *size, generator=drawn), torch.randint(0, 3, shape, generator=drawn)


@pytest.mark.parametrize(("margin", "expected"), [(1.0, 1.2), (0.0, 0.2)])
def test_the_worked_pairs(margin: float, expected: float) -> None:
    found, true = torch.tensor([1.0, 0.2, 0.5, 0.9]), torch.tensor([0.3, 0.8, 0.1, 0.6])
    assert ranking_loss(found, true, torch.ones(4, dtype=torch.bool), margin).item() == pytest.approx(
        expected
    )


def test_the_middle_of_an_odd_batch_and_samples_without_labels_are_in_no_pair() -> None:
    found = torch.tensor([1.0, 0.2, 7.0, 0.5, 0.9])
    true = torch.tensor([0.3, 0.8, 9.0, 0.1, 0.6])
    known = torch.tensor([True, True, True, True, True])
    assert ranking_loss(found, true, known, 1.0).item() == pytest.approx(1.2)
    known[3] = False  # of (1, 3); what is left is (0, 4)
    assert ranking_loss(found, true, known, 1.0).item() == pytest.approx(1.1)
    assert ranking_loss(found, true, torch.zeros(5, dtype=torch.bool), 1.0).item() == 0.0


def test_the_loss_of_a_sample_is_cross_entropy_and_dice_of_what_is_known() -> None:
    """Two pixels of the first sample are known, one wrong by probability 1/4; the second is empty, the third unknown."""
    task = Task(kind="segmentation", dims=2, classes={"background": 0, "organ": 1})
    ignore = task.ignore
    p = torch.tensor([[0.75, 0.5, 0.5], [0.9, 0.9, 0.9], [0.5, 0.5, 0.5]])[:, None, None]
    said = torch.cat([p, 1 - p], dim=1).log()
    labels = torch.tensor([[0, 1, ignore], [0, 0, 0], [ignore] * 3])[:, None]
    entropy = [-(np.log(0.75) + np.log(0.5)) / 2, -np.log(0.9), 0.0]
    found, known = sample_losses(said, labels, task, PLAIN)
    soft = 2 * 0.5 / (0.25 + 0.5 + 1)
    np.testing.assert_allclose(found, np.add(entropy, [1 - soft, 0, 0]), rtol=1e-5)
    assert known.tolist() == [True, True, False]
    counted, _ = sample_losses(said, labels, task, Options(128, 1.0, 1.0, 0.27, False, True, True, 1e-3))
    np.testing.assert_allclose(counted[:2], np.add(entropy[:2], [1 - soft, 1]), rtol=1e-5)
    alone, _ = sample_losses(said, labels, task, Options(128, 1.0, 1.0, 0.27, False, False, False, 1e-3))
    np.testing.assert_allclose(alone, entropy, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "dims"),
    [(n, d) for n in NETWORKS for d in (2, 3) if d == 2 or n not in ("resnet34_unet", "resnet50_unet")],
)
def test_it_fits_every_network(name: str, dims: int) -> None:
    task = _task(name, dims)
    size = (37, 22) if dims == 2 else (18, 13, 9)
    model = company(task, "learning_loss(width=16)", model=name).eval()
    assert isinstance(model, Accompanied)
    x, _ = _batch(task, size, 2)
    with torch.no_grad():
        model(x)
    found = model.outputs()["predicted_loss"]
    assert found.shape == (2,)
    assert torch.isfinite(found).all()
    assert len(model.companions["learning_loss"].narrow) == len(levels(model.network))


@pytest.mark.parametrize("name", ["unet", "stochastic_batches_unet", "resnet18_unet", "cnn"])
def test_being_made_it_leaves_the_network_as_it_was(name: str) -> None:
    task = _task(name, 2)
    network = company(task, model=name)
    next(network.children()).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    state = torch.get_rng_state()
    assert min(widths(network, task, 1)) > 1
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in levels(network))


def _reaches(text: str, clock: Clock) -> tuple[bool, bool]:
    """Whether the ranking loss has a gradient in the network, and in the head."""
    model = company(DISCS, text)
    assert isinstance(model, Accompanied)
    x, y = _batch(DISCS, (20, 24))
    model(x)
    (term,) = model.losses(y, clock)
    term.backward()
    found = [
        any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
        for part in (model.network, model.companions)
    ]
    return found[0], found[1]


@pytest.mark.parametrize(
    ("text", "clock", "reaches"),
    [
        ("learning_loss", Clock(0, 100), True),
        ("learning_loss", Clock(27, 100), True),
        ("learning_loss", Clock(28, 100), False),
        ("learning_loss", Clock(5000, 0, epoch=20, epochs=75), True),
        ("learning_loss", Clock(5250, 0, epoch=21, epochs=75), False),
        ("learning_loss(detach=0)", Clock(0, 100), True),
        ("learning_loss(detach=1)", Clock(99, 100, cycle=3), True),
        ("learning_loss(detach_after_query=true)", Clock(99, 100), True),
        ("learning_loss(detach_after_query=true)", Clock(0, 100, cycle=1), False),
    ],
)
def test_its_gradient_into_the_network_is_cut(text: str, clock: Clock, reaches: bool) -> None:
    assert _reaches(text, clock) == (reaches, True)


def test_one_sample_alone_is_compared_with_nothing() -> None:
    model = company(DISCS, "learning_loss")
    x, y = _batch(DISCS, (20, 24), 1)
    model(x)
    assert model.losses(y, START) == []  # type: ignore[operator]


def test_what_it_learns_from_is_not_part_of_its_gradient() -> None:
    """The true losses only give the sign: the logits get no gradient from the ranking."""
    model = company(DISCS, "learning_loss(detach=0)")
    assert isinstance(model, Accompanied)
    x, y = _batch(DISCS, (20, 24))
    said = model(x)
    said.retain_grad()
    (term,) = model.losses(y, START)
    term.backward()
    assert said.grad is None
    assert model.network.head.weight.grad is None


def test_its_optimiser_is_its_own_and_its_rate_constant() -> None:
    model = company(DISCS, "learning_loss(lr=0.002)")
    companion: Any = model.companions["learning_loss"]  # type: ignore[index]
    assert isinstance(companion, LearningLoss)
    own = companion.optimiser(Train())
    assert {id(p) for g in own.param_groups for p in g["params"]} == {id(p) for p in companion.parameters()}
    assert (own.defaults["lr"], own.defaults["momentum"], own.defaults["weight_decay"]) == (0.002, 0.9, 5e-4)
    assert companion.rate(Clock(90, 100), 0.01) == 1.0


@pytest.mark.parametrize(
    "text", ["learning_loss(width=0)", "learning_loss(margin=-1)", "learning_loss(detach=2)"]
)
def test_options_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="learning_loss: width is"):
        company(DISCS, text)


@pytest.mark.parametrize("task", [DISCS, BLOBS], ids=lambda task: task.kind)
def test_it_learns_which_pictures_are_hard(task: Task) -> None:
    """Half of the pictures, brighter ones, get new labels by chance each time: their loss stays high, and the head sees it."""
    pictures = Pictures(task, 48)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(np.stack([pictures.images[r] for r in pictures.regions]))
    y = torch.from_numpy(np.stack([pictures.labels[r] for r in pictures.regions]).astype(np.int64))
    hard = torch.arange(len(x)) // 2 % 2 == 1
    x[hard] += 0.5
    small = {} if task.kind == "segmentation" else {"model": "cnn"}
    model = company(task, "learning_loss(lr=0.02)", **small)
    assert isinstance(model, Accompanied)

    def batches(count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(count):
            rows = torch.from_numpy(rng.permutation(32)[:8])
            chance = torch.from_numpy(rng.integers(0, len(task.classes), y[rows].shape))
            yield x[rows], torch.where(hard[rows].view(-1, *[1] * (y.ndim - 1)), chance, y[rows])

    train_along(model, batches(100), task, Clock(0, 100))
    model.eval()
    with torch.no_grad():
        model(x[32:])
    found = model.outputs()["predicted_loss"]
    won = (found[hard[32:]][:, None] > found[~hard[32:]][None]).float().mean()
    assert won > 0.9


def test_it_is_read_from_a_text() -> None:
    assert str(read("companion", "learning_loss(margin=0)")) == "learning_loss(margin=0)"
