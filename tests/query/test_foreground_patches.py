"""Patches around structures: their geometry, their shares, and that they always end."""

from __future__ import annotations

import numpy as np
import pytest

from curette.errors import SettingError
from curette.query.boxes import Places
from curette.query.foreground import around, pixels
from curette.query.occasion import Occasion
from curette.query.scoring import blind
from curette.query.strategy import parse_strategy
from curette.region import Region

UNITS = [Region("a", 2, z) for z in range(6)]


def draw(
    truth, budget: int, text: str = "foreground_patch(4, 4)", *, seed: int = 0, units=UNITS, size=(16, 16)
):
    strategy = parse_strategy(f"none > none > {text} > random")
    occasion = Occasion(seed=seed, budget=budget, units=len(units), size=size, truth=truth)
    return blind(strategy, units, frozenset(), occasion)


@pytest.mark.parametrize(
    ("pixel", "start"), [((8, 8), (6, 6)), ((0, 15), (0, 12)), ((1, 2), (0, 0)), ((14, 13), (12, 11))]
)
def test_a_patch_starts_half_its_size_before_the_pixel_and_stays_inside(pixel, start) -> None:
    assert around(pixel, Places((16, 16), (4, 4), (1, 1), 0.0)) == start


def test_odd_sizes_round_down() -> None:
    assert around((8, 8), Places((16, 16), (5, 3), (1, 1), 0.0)) == (6, 7)


def test_the_border_is_what_an_erosion_removes() -> None:
    mask = np.zeros((7, 7), bool)
    mask[1:6, 1:6] = True
    border = pixels(mask, "border")
    assert len(border) == 16
    assert len(pixels(mask, "seg")) == 25
    assert {tuple(p) for p in border} == {tuple(p) for p in np.argwhere(mask)} - {
        (r, c) for r in (2, 3, 4) for c in (2, 3, 4)
    }


def test_the_share_of_patches_on_a_structure_is_kept_and_rare_classes_are_sought_as_often() -> None:
    label = np.zeros((32, 32), np.uint8)
    label[0:3, 0:20] = 1  # 60 pixels
    label[28, 28] = 2  # 1 pixel
    counts = {"1": 0, "2": 0, "none": 0}
    for seed in range(600):
        (patch,) = draw(lambda unit: label, 1, "foreground_patch(1, 1, share=0.66)", seed=seed, size=(32, 32))
        value = int(label[patch.slices][0, 0])
        counts[str(value) if value else "none"] += 1
    # Two thirds on a structure, half of them for each class; a third anywhere, of which 6 % hit class 1.
    np.testing.assert_allclose(counts["2"] / 600, 1 / 3, atol=0.06)
    np.testing.assert_allclose(counts["1"] / 600, 1 / 3 + 0.06 / 3, atol=0.06)


def test_units_without_foreground_are_passed_over_and_nothing_goes_on_for_ever() -> None:
    def truth(unit: Region) -> np.ndarray:
        label = np.zeros((16, 16), np.uint8)
        if unit.index == 3:
            label[8:10, 8:10] = 1
        return label

    whole = draw(truth, 6, "foreground_patch(4, 4, share=1)")
    assert len(whole) == 6
    assert any(r.index == 3 for r in whole)
    assert len(draw(lambda unit: np.zeros((16, 16), np.uint8), 12, "foreground_patch(4, 4, share=1)")) == 12
    ignored = np.full((16, 16), 255, np.uint8)
    assert len(draw(lambda unit: ignored, 4, "foreground_patch(4, 4, share=1)")) == 4
    assert len(draw(truth, 1000, "foreground_patch(16, 16, share=0.5)")) == 6  # all there is


def test_patches_keep_clear_of_each_other() -> None:
    label = np.ones((16, 16), np.uint8)
    patches = draw(lambda unit: label, 24)
    assert len(set(patches)) == 24
    assert not any(a.overlaps(b) for i, a in enumerate(patches) for b in patches[:i])


def test_it_is_marked_as_using_the_truth_and_refused_without() -> None:
    strategy = parse_strategy("none > none > foreground_patch(4, 4) > random")
    assert strategy.truth
    assert not parse_strategy("none > none > patch(4, 4) > random").truth
    with pytest.raises(SettingError, match="only a simulation has"):
        draw(None, 3)
    seen: list[Region] = []

    def truth(unit: Region) -> np.ndarray:
        seen.append(unit)
        return np.zeros((16, 16), np.uint8)

    draw(truth, 3, "patch(4, 4)")
    assert seen == []
