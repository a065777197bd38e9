"""Losses: worked numbers, and what must not touch them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from curette.learn.losses import classification_loss, dice_loss, segmentation_loss


def _logits(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_cross_entropy_of_uniform_logits_is_the_log_of_the_classes() -> None:
    labels = torch.zeros(2, 4, 4, dtype=torch.int16)
    loss = segmentation_loss(torch.zeros(2, 3, 4, 4), labels, ignore=255, dice=0.0)
    assert loss.item() == pytest.approx(math.log(3))
    classes = torch.tensor([0, 2])
    assert classification_loss(torch.zeros(2, 3), classes, ignore=255).item() == pytest.approx(math.log(3))


def test_dice_of_a_worked_example() -> None:
    # One foreground class: p = .8 .6 .4 .2 against 1 1 0 0 → 2 · 1.4 / (2 + 2) = .7
    found = torch.tensor([[0.8, 0.6, 0.4, 0.2]])
    probabilities = torch.stack((1 - found, found), 1)
    labels = torch.tensor([[1, 1, 0, 0]])
    assert dice_loss(probabilities, labels, labels >= 0).item() == pytest.approx(-math.log(0.7))


def test_a_class_that_is_absent_from_the_batch_does_not_enter_dice() -> None:
    labels = torch.tensor([[1, 1, 0, 0]])
    two, three = _logits(1, 2, 4), torch.full((1, 3, 4), -30.0)
    three[:, :2] = two
    with_two = dice_loss(two.softmax(1), labels, labels >= 0)
    assert dice_loss(three.softmax(1), labels, labels >= 0).item() == pytest.approx(with_two.item(), abs=1e-6)


def test_a_class_pulls_as_hard_when_little_of_it_is_left() -> None:
    labels = torch.zeros(1, 64, 64, dtype=torch.int64)
    labels[0, 0, :4] = 1
    pulls = []
    for logit in (-4.0, -12.0):
        logits = torch.stack((torch.zeros(1, 64, 64), torch.full((1, 64, 64), logit)), 1).requires_grad_()
        dice_loss(logits.softmax(1), labels, labels >= 0).backward()
        assert logits.grad is not None
        pulls.append(-logits.grad[0, 1, 0, :4].sum().item())
    assert pulls[1] > 0.9
    assert pulls[1] > 0.9 * pulls[0]


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 1.0]))
def test_ignored_voxels_touch_neither_loss_nor_gradient(seed: int, dice: float) -> None:
    labels = torch.randint(0, 3, (2, 5, 5), generator=torch.Generator().manual_seed(seed))
    labels[:, 2:] = 255
    logits = _logits(2, 3, 5, 5, seed=seed).requires_grad_()
    loss = segmentation_loss(logits, labels, ignore=255, dice=dice)
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[:, :, 2:].any()
    changed = logits.detach().clone()
    changed[:, :, 2:] = 50 * _logits(2, 3, 3, 5, seed=seed + 1)
    assert torch.equal(segmentation_loss(changed, labels, ignore=255, dice=dice), loss.detach())
    cut = segmentation_loss(logits.detach()[:, :, :2], labels[:, :2], ignore=255, dice=dice)
    assert cut.item() == pytest.approx(loss.item(), rel=1e-5)


def test_a_batch_without_annotation_costs_nothing() -> None:
    labels = torch.full((2, 4, 4), 255, dtype=torch.int16)
    logits = _logits(2, 3, 4, 4).requires_grad_()
    loss = segmentation_loss(logits, labels, ignore=255, dice=0.5)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()
    assert classification_loss(_logits(2, 3), torch.full((2,), 255), ignore=255).item() == 0
