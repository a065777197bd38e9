"""Augmentation: image and label move together, every sample by itself, and only by the generator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from curette.data.augment import augment
from curette.recipe import Augment

OFF: dict[str, Any] = {
    "rotate": 0, "scale": 0, "shift": 0, "brightness": 0, "contrast": 0, "gamma": 0, "noise": 0
}  # fmt: skip


def _discs(count: int, *size: int) -> tuple[Tensor, Tensor]:
    axes = [torch.arange(n) - n / 2 for n in size]
    grid = torch.meshgrid(*axes, indexing="ij")
    label = (sum(g**2 for g in grid) < (min(size) / 4) ** 2) & (
        grid[0] > -1
    )  # half a disc, to tell its direction
    return label.float().expand(count, 1, *size), label.to(torch.int16).expand(count, *size)


def _run(x: Tensor, y: Tensor, seed: int = 0, **changes: Any) -> tuple[Tensor, Tensor]:
    return augment(x, y, Augment(**{**OFF, **changes}), Generator().manual_seed(seed), ignore=255)


def test_nothing_switched_on_changes_nothing() -> None:
    x, y = _discs(2, 16, 20)
    moved, labels = _run(x, y)
    assert torch.equal(moved, x)
    assert torch.equal(labels, y)


@pytest.mark.parametrize("size", [(24, 40), (16, 20, 24)])
def test_image_and_label_move_together_and_what_comes_from_outside_is_unknown(size: tuple[int, ...]) -> None:
    x, y = _discs(8, *size)
    moved, labels = _run(x, y, rotate=30, scale=0.2, shift=0.15)
    known = labels != 255
    assert labels.dtype == y.dtype
    assert set(labels.unique().tolist()) == {0, 1, 255}
    agree = (moved[:, 0] > 0.5) == (labels == 1)
    assert agree[known].float().mean() > 0.97
    assert all(not torch.equal(labels[0], other) for other in labels[1:])


@pytest.mark.parametrize("size", [(20, 44), (44, 20)])
def test_rotation_keeps_shapes_in_an_image_that_is_not_square(size: tuple[int, ...]) -> None:
    axes = torch.meshgrid(*[torch.arange(n) - (n - 1) / 2 for n in size], indexing="ij")
    label = (axes[0].square() + axes[1].square() < 36).to(torch.int16).expand(8, *size)
    _, labels = _run(label[:, None].float(), label, rotate=45)
    changed = ((labels == 1) != (label == 1)).sum((1, 2))
    assert changed.max() <= 0.15 * label[0].sum()  # a disc in the centre stays a disc


def test_flips_are_exact_and_happen_half_of_the_time() -> None:
    x, y = torch.rand(200, 1, 6, 8), torch.randint(0, 3, (200, 6, 8))
    moved, labels = _run(x, y, flip=("x",))
    flipped = torch.tensor([torch.allclose(m, i.flip(1), atol=1e-5) for m, i in zip(moved, x, strict=True)])
    same = torch.tensor([torch.allclose(m, i, atol=1e-5) for m, i in zip(moved, x, strict=True)])
    assert (flipped ^ same).all()
    assert 60 < int(flipped.sum()) < 140
    assert torch.equal(labels[flipped], y[flipped].flip(1))
    along, _ = _run(x, y, flip=("y",))
    mirrored = [torch.allclose(m, i.flip(2), atol=1e-5) for m, i in zip(along, x, strict=True)]
    assert 60 < sum(mirrored) < 140


def test_shift_and_scale_stay_within_their_bounds() -> None:
    x = torch.zeros(100, 1, 40, 60)
    x[:, :, 18:22, 28:32] = 1
    y = x[:, 0].to(torch.int16)
    _, labels = _run(x, y, shift=0.1)
    rows, columns = (
        ((labels == 1) * torch.arange(n).reshape(s)).sum((1, 2)) / (labels == 1).sum((1, 2))
        for n, s in ((40, (-1, 1)), (60, (1, -1)))
    )
    assert 3 < (rows - 19.5).abs().max() <= 4.5
    assert 4.5 < (columns - 29.5).abs().max() <= 6.5


def test_classes_stay_as_they_are() -> None:
    x, classes = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 255])
    moved, labels = _run(x, classes, rotate=20, brightness=0.2)
    assert labels is classes
    assert not torch.equal(moved, x)


@pytest.mark.parametrize("name", ["brightness", "contrast", "gamma", "noise"])
def test_intensity_changes_the_image_only_and_by_about_what_was_asked(name: str) -> None:
    x, y = _discs(16, 16, 16)
    x = 0.2 + 0.6 * x + 0.1 * torch.rand(x.shape, generator=Generator().manual_seed(0))
    moved, labels = _run(x, y, **{name: 0.1})
    assert torch.equal(labels, y)
    change = (moved - x).abs().amax((1, 2, 3))
    assert (change > 0).all()
    assert change.max() < (0.6 if name == "noise" else 0.12)
    assert len(change.unique()) == 16


def test_all_randomness_comes_from_the_generator_and_inputs_stay() -> None:
    x, y = _discs(4, 16, 20)
    x, y = x.clone(), y.clone()
    kept_x, kept_y, state = x.clone(), y.clone(), torch.get_rng_state()
    settings = Augment(flip=("x", "y"))
    one, two, other = (augment(x, y, settings, Generator().manual_seed(s), ignore=255) for s in (1, 1, 2))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])
    assert torch.equal(x, kept_x)
    assert torch.equal(y, kept_y)
    assert torch.equal(state, torch.get_rng_state())


def test_quarter_turns_of_a_square_are_exact_and_all_happen() -> None:
    x, y = _discs(64, 16, 16)
    moved, labels = _run(x, y, quarters=True)
    turned = [torch.rot90(y[0], k) for k in range(4)]
    seen = {next(k for k in range(4) if torch.equal(label, turned[k])) for label in labels}
    assert seen == {0, 1, 2, 3}
    assert torch.allclose(moved[:, 0], labels.float(), atol=1e-4)


def test_quarter_turns_of_a_volume_are_in_the_plane_of_its_first_two_axes() -> None:
    x = torch.arange(64.0).reshape(1, 1, 4, 4, 4).repeat(40, 1, 1, 1, 1)
    moved, labels = _run(x, x[:, 0].long(), quarters=True)
    turned = [torch.rot90(x[0, 0], k, dims=(0, 1)) for k in range(4)]
    seen = {next(k for k in range(4) if torch.allclose(volume[0], turned[k], atol=1e-3)) for volume in moved}
    assert seen == {0, 1, 2, 3}
    assert torch.equal(labels, moved[:, 0].round().long())


def test_an_elastic_change_bends_half_of_the_samples_smoothly() -> None:
    x, y = _discs(200, 32, 32)
    moved, labels = _run(x, y, elastic=0.03)
    changed = (moved != x).flatten(1).any(1)
    assert 70 < int(changed.sum()) < 130
    assert torch.equal(labels[~changed], y[~changed])
    known = labels != 255
    assert known.float().mean() > 0.9
    share = (labels[changed] == 1).float().mean() / y.float().mean()
    assert 0.8 < share < 1.2  # bent, neither blown up nor shrunk
    agree = ((moved[:, 0] > 0.5) == (labels == 1))[known].float().mean()
    assert agree > 0.98  # image and label bend together


def test_salt_takes_the_extremes_at_the_share_asked_for() -> None:
    x = torch.rand(4, 2, 40, 40)
    moved, _ = _run(x, torch.zeros(4, 40, 40, dtype=torch.int16), salt=0.2)
    changed = moved != x
    assert changed.float().mean().item() == pytest.approx(0.2, abs=0.02)
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    assert ((moved == low) | (moved == high))[changed].all()


def test_saturation_keeps_grey_and_brightness() -> None:
    x = torch.rand(6, 3, 8, 8)
    moved, _ = _run(x, torch.zeros(6, 8, 8, dtype=torch.int16), saturation=0.5)
    assert not torch.equal(moved, x)
    assert torch.allclose(moved.mean(1), x.mean(1), atol=1e-5)
    grey = torch.rand(6, 1, 8, 8).expand(6, 3, 8, 8)
    assert torch.allclose(_run(grey, torch.zeros(6, 8, 8), saturation=0.5)[0], grey, atol=1e-6)


def test_noise_for_a_share_of_the_samples() -> None:
    x = torch.zeros(400, 1, 4, 4)
    moved, _ = _run(x, torch.zeros(400, 4, 4), noise=0.1, noisy=0.5)
    noisy = (moved != 0).flatten(1).any(1)
    assert 160 < int(noisy.sum()) < 240
    assert moved[noisy].std().item() == pytest.approx(0.1, rel=0.1)
