"""Chance that knows where the foreground is, from ground truth and from predictions."""

from dataclasses import replace

import numpy as np
import pytest

from curette.errors import SettingError
from curette.query import selectors  # noqa: F401
from curette.query.candidates import Labelled
from curette.query.truth import revealed
from curette.region import Region
from curette.registry import bind
from curette.task import Task
from query.pools import pool_of

TASK = Task(kind="segmentation", dims=2, classes={"background": 0, "organ": 1, "lesion": 2})


def scene(cases: int = 4, depth: int = 10):
    """Slices of volumes: organ in slices 2 to 7, lesion in slice 5 only, the last volume empty."""
    regions = [Region(f"c{c:04d}", 2, z) for c in range(cases) for z in range(depth)]
    truth = np.zeros((len(regions), 3), np.float32)
    for i, region in enumerate(regions):
        if region.case != f"c{cases - 1:04d}":
            truth[i, 1] = 0.1 * (2 <= region.index <= 7)
            truth[i, 2] = 0.01 * (region.index == 5)
    truth[:, 0] = 1 - truth[:, 1:].sum(axis=1)
    return replace(pool_of(np.zeros(len(regions)), regions=regions), columns={"truth": truth})


def pick(pool, budget: int, seed: int = 0, name: str = "foreground_random", **options) -> list[int]:
    return bind("selector", name, **options)(pool, budget, np.random.default_rng(seed), Labelled()).tolist()


def first_picks(pool, times: int = 1500, **options) -> np.ndarray:
    return np.bincount([pick(pool, 1, s, **options)[0] for s in range(times)], minlength=len(pool)) / times


def test_all_by_chance_is_uniform() -> None:
    np.testing.assert_allclose(first_picks(scene(2, 5), share=0.0), 0.1, atol=0.03)


def test_foreground_classes_are_equally_likely_whatever_their_size() -> None:
    pool = scene(1 + 1, 10)
    found = first_picks(pool, share=1.0)
    # Half the draws seek the lesion, in slice 5 alone; half a pixel of the organ, in slices 2 to 7 alike.
    expected = np.zeros(20)
    expected[2:8] = 0.5 / 6
    expected[5] += 0.5
    np.testing.assert_allclose(found, expected, atol=0.04)


def test_a_pixel_of_the_class_is_drawn() -> None:
    pool = scene(1 + 1, 4)
    truth = np.zeros((8, 3), np.float32)
    truth[:4, 1] = [0, 0.1, 0.3, 0.6]
    found = first_picks(replace(pool, columns={"truth": truth}), share=1.0)
    np.testing.assert_allclose(found[:4], [0, 0.1, 0.3, 0.6], atol=0.04)


@pytest.mark.parametrize(("share", "expected"), [(1 / 3, 1 / 3), (2 / 3, 2 / 3)])
def test_the_share_holds_over_a_batch(share: float, expected: float) -> None:
    pool = scene(2000, 2)
    truth = np.zeros((4000, 3), np.float32)
    truth[::20, 1] = 0.5  # one case in ten has foreground, in its first slice
    pool = replace(pool, columns={"truth": truth})
    picks = np.array(pick(pool, 150, share=share))
    found = (truth[picks, 1] > 0).mean()
    assert found == pytest.approx(expected + (1 - expected) / 20, abs=0.12)


def test_cases_take_turns() -> None:
    pool = scene(5, 6)
    for share in (0.0, 1.0):
        picks = pick(pool, 8, 3, share=share)
        cases = [pool.regions[i].case for i in picks]
        served = 4 if share else 5  # one volume is empty
        assert len(set(cases[:served])) == served
        assert cases[served:] == cases[: 8 - served]


def test_when_no_foreground_is_left_chance_goes_on() -> None:
    pool = scene(2, 10)
    picks = pick(pool, 20, share=1.0)
    assert sorted(picks) == list(range(20))
    assert {pool.regions[i].index for i in picks[:6]} == set(range(2, 8))
    empty = replace(pool, columns={"truth": np.tile(np.array([1, 0, 0], np.float32), (20, 1))})
    assert sorted(pick(empty, 20, share=1.0)) == list(range(20))


def test_boxes_follow_the_same_rule() -> None:
    boxes = [Region(c, box=((x, x + 4), (y, y + 4))) for c in "ab" for x in (0, 4) for y in (0, 4)]
    label = {"a": np.zeros((8, 8), np.uint8), "b": np.zeros((8, 8), np.uint8)}
    label["a"][5, 1] = 2
    label["b"][0, 6] = 1
    labels = {r: label[r.case][tuple(slice(*span) for span in r.box)] for r in boxes}
    pool = revealed(pool_of(np.zeros(8), regions=boxes), labels, TASK)
    assert {str(boxes[i]) for i in pick(pool, 2, share=1.0)} == {"a@[4:8,0:4]", "b@[0:4,4:8]"}


def test_without_ground_truth_it_says_what_to_use() -> None:
    with pytest.raises(SettingError, match="predicted_foreground_random"):
        pick(pool_of(np.zeros(3)), 1)


@pytest.mark.parametrize("options", [{"share": -0.1}, {"share": 1.1}, {"share": 0.5, "least": 2.0}])
def test_impossible_options(options: dict[str, float]) -> None:
    pool = replace(scene(), columns={"truth": np.zeros((40, 3)), "probabilities": np.zeros((40, 3))})
    name = "predicted_foreground_random" if "least" in options else "foreground_random"
    with pytest.raises(SettingError, match="but is a"):
        pick(pool, 2, name=name, **options)


def test_predictions_in_place_of_the_truth() -> None:
    pool = scene(2, 10)
    predicted = np.zeros(20, np.int32)
    predicted[3] = 1
    p = np.tile(np.array([0.995, 0.004, 0.001], np.float32), (20, 1))
    p[6] = [0.9, 0.002, 0.098]
    pool = replace(pool, predicted=predicted, columns={"probabilities": p})
    name = "predicted_foreground_random"
    assert sorted(pick(pool, 2, name=name, share=1.0)) == [
        3,
        6,
    ]  # the predicted class, and one with enough probability
    np.testing.assert_allclose(first_picks(pool, 600, name=name, share=1.0)[[3, 6]], 0.5, atol=0.08)
    assert sorted(pick(pool, 20, name=name, share=1.0, least=0.5)) == list(range(20))


def test_the_truth_column_is_the_share_of_each_class() -> None:
    regions = [Region("a"), Region("b"), Region("c")]
    labels = {
        regions[0]: np.array([[0, 1], [2, 2]]),
        regions[1]: np.array([[255, 1], [255, 255]]),
        regions[2]: np.full((2, 2), 255),
    }
    pool = revealed(pool_of(np.zeros(3), regions=regions), labels, TASK)
    np.testing.assert_allclose(pool.columns["truth"], [[0.25, 0.25, 0.5], [0, 1, 0], [0, 0, 0]])
    one = Task(kind="classification", dims=2, classes={"healthy": 0, "ill": 1})
    found = revealed(pool_of(np.zeros(1), regions=regions[:1]), {regions[0]: np.array(1)}, one)
    np.testing.assert_allclose(found.columns["truth"], [[0, 1]])


def test_people_who_have_not_answered_are_no_ground_truth() -> None:
    with pytest.raises(SettingError, match="simulations only"):
        revealed(pool_of(np.zeros(1)), None, TASK)
