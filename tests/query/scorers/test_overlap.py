"""Overlap of whole masks."""

from __future__ import annotations

import numpy as np
import pytest

from query.scorers.known import binary, scores


def test_three_masks_of_four_pixels() -> None:
    masks = [[[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]]]
    assert scores("dice_disagreement", binary(masks))[0] == pytest.approx(0.344444, abs=1e-6)


def test_each_foreground_class_counts_alike() -> None:
    label = np.array([[[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 2, 0]]])
    passes = np.moveaxis(np.eye(4)[label], -1, 2)
    # The large structure agrees, the small one is missed by one pass, the last is absent from both.
    assert scores("dice_disagreement", passes)[0] == pytest.approx(1 / 3)


def test_empty_masks_agree() -> None:
    assert scores("dice_disagreement", binary(np.zeros((1, 3, 4))))[0] == 0
    assert scores("expected_dice", binary(np.zeros((1, 3, 4))))[0] == 0


def test_expected_dice_of_two_passes() -> None:
    passes = [[[0.9, 0.7, 0.1, 0], [0.7, 0.5, 0.1, 0]]]
    assert scores("expected_dice", binary(passes))[0] == pytest.approx(0.329911, abs=1e-6)


def test_expected_dice_of_a_sure_pass_is_one() -> None:
    assert scores("expected_dice", binary([[[1, 1, 0]]]))[0] == pytest.approx(0)
    assert scores("expected_dice", binary([[[0.5, 0.5, 0]]]))[0] == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["dice_disagreement", "expected_dice"])
def test_small_structures_count_as_much_as_large_ones(name: str) -> None:
    small, large = np.zeros((2, 20)), np.zeros((2, 20))
    small[0, :2], small[1, 1:3] = 1, 1
    large[0, :10], large[1, 5:15] = 1, 1
    found = scores(name, binary([small, large]))
    assert found[0] == pytest.approx(found[1])
