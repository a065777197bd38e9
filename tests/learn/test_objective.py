"""Terms of the loss: the worked numbers, ignored voxels, sums."""

from __future__ import annotations

import math

import pytest
import torch
from toys import BLOBS, DISCS

from curette.errors import SettingError
from curette.learn.losses import segmentation_loss
from curette.learn.objective import objective
from curette.recipe import Train
from curette.task import Task

TASK = Task(kind="segmentation", dims=2, classes={"background": 0, "a": 1, "b": 2})
P = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])


def _dense(p: torch.Tensor) -> torch.Tensor:
    """Probabilities [N, C] of N pixels as logits [1, C, N, 1]."""
    return p.log().T[None, :, :, None]


def test_the_worked_cross_entropies() -> None:
    labels = torch.tensor([0, 1]).reshape(1, 2, 1)
    plain = objective(Train(loss="cross_entropy"), TASK)(_dense(P), labels)
    smooth = objective(Train(loss="cross_entropy(smoothing=0.1)"), TASK)(_dense(P), labels)
    assert plain.item() == pytest.approx(0.289909, abs=1e-6)
    assert smooth.item() == pytest.approx(0.4125352, abs=1e-6)


def test_soft_dice_by_hand() -> None:
    labels = torch.tensor([0, 1]).reshape(1, 2, 1)
    a = (2 * 0.8 + 1e-5) / (0.2 + 0.8 + 1 + 1e-5)
    b = 1e-5 / (0.1 + 0.1 + 1e-5)  # nobody has it, and it is found a little
    found = objective(Train(loss="soft_dice"), TASK)(_dense(P), labels)
    assert found.item() == pytest.approx(1 - (a + b) / 2, abs=1e-6)
    background = (2 * 0.7 + 1e-5) / (0.7**2 + 0.1**2 + 1 + 1e-5)
    squares = [(2 * 0.8 + 1e-5) / (0.2**2 + 0.8**2 + 1 + 1e-5), 1e-5 / (0.1**2 + 0.1**2 + 1e-5)]
    found = objective(Train(loss="soft_dice(background=true, squared=true)"), TASK)(_dense(P), labels)
    assert found.item() == pytest.approx(1 - (background + sum(squares)) / 3, abs=1e-6)


@pytest.mark.parametrize("loss", ["", "soft_dice", "soft_dice(background=true)", "cross_entropy + log_dice"])
def test_ignored_pixels_touch_no_term(loss: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 3, 6, 5, requires_grad=True)
    labels = torch.randint(0, 3, (3, 6, 5))
    labels[:, :2] = TASK.ignore
    labels[2] = TASK.ignore  # a sample without any annotation
    total = objective(Train(loss=loss), TASK)
    value = total(logits, labels)
    value.backward()
    assert logits.grad is not None
    assert (logits.grad[:, :, :2] == 0).all()
    assert (logits.grad[2] == 0).all()
    assert total(logits.detach()[:2, :, 2:], labels[:2, 2:]).item() == pytest.approx(value.item(), rel=1e-5)


def test_terms_add_up_with_their_weights() -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    half = objective(Train(loss="cross_entropy(weight=0.3) + log_dice(weight=0.7)"), TASK)(logits, labels)
    assert half.item() == pytest.approx(
        segmentation_loss(logits, labels, ignore=255, dice=0.7).item(), rel=1e-6
    )


def test_a_task_of_classes_has_no_masks_to_compare() -> None:
    loss = objective(Train(loss="cross_entropy"), BLOBS)(torch.zeros(4, 2), torch.tensor([0, 1, 1, 255]))
    assert loss.item() == pytest.approx(math.log(2))
    with pytest.raises(SettingError, match=r"train\.loss: 'soft_dice' compares masks"):
        objective(Train(loss="soft_dice"), BLOBS)
    with pytest.raises(SettingError, match="soft_dice"):
        objective(Train(loss="soft_dise"), DISCS)
