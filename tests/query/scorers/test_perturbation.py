"""Perturbation consistency by every error function, and the passes that go with it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from curette.errors import CuretteWarning, SettingError
from curette.learn.prediction import Prediction
from curette.query.strategy import PRESETS, check, parse_strategy
from curette.region import Region
from curette.registry import bind
from curette.task import Task
from fakes import CLASSIFICATION, SEGMENTATION
from query.scorers.known import A, binary, images, scores

ONE = [[[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]]
TWO = [[[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.6, 0.2, 0.2]]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0.0125),
        ({"views": "sum"}, 0.05),
        ({"classes": "sum"}, 0.025),
        ({"error": "l1"}, 0.1),
        ({"error": "smooth_l1"}, 0.00625),
        ({"error": "huber"}, 0.00625),
        ({"error": "kl"}, 0.0349948),
    ],
)
def test_errors_of_an_image(options: dict[str, str], expected: float) -> None:
    np.testing.assert_allclose(scores("variance", ONE, **options), expected, atol=1e-7)


def test_more_classes() -> None:
    np.testing.assert_allclose(scores("variance", TWO), 0.00333333, atol=1e-8)
    np.testing.assert_allclose(scores("variance", A), [0.000148, 0.000859, 0.142778, 0.000237], atol=1e-6)


@pytest.mark.parametrize("error", ["mse", "l1", "smooth_l1", "huber", "kl"])
def test_passes_that_agree_have_no_error(error: str) -> None:
    assert scores("variance", [[[0.7, 0.2, 0.1]] * 4], error=error)[0] == pytest.approx(0, abs=1e-15)


def test_a_voxel_under_four_views() -> None:
    passes = [[[0.1, 0.9], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]]]
    np.testing.assert_allclose(scores("variance", passes), 0.0125, atol=1e-7)
    np.testing.assert_allclose(scores("mutual_information", passes), 0.034995, atol=1e-6)
    np.testing.assert_allclose(scores("mutual_information", passes) / np.log(4), 0.025243, atol=1e-6)


def test_views_that_see_less_count_where_they_see() -> None:
    passes = binary(1 - np.array([[[0.9, 0.6, 0.5, 0.2], [0.7, 0.6, 0.1, 0.4]]]))
    np.testing.assert_allclose(
        scores("mutual_information", passes)[0], [0.0324288, 0, 0.1017492, 0.0241573], atol=1e-7
    )
    mask = [[1, 1, 0, 1]]
    np.testing.assert_allclose(images("mutual_information", passes), 0.0395838, atol=1e-6)
    np.testing.assert_allclose(images("mutual_information", passes, valid=mask), 0.0188620, atol=1e-6)
    np.testing.assert_allclose(
        images("mutual_information", passes, "mean_all", valid=mask), 0.0141465, atol=1e-6
    )


def test_squared_and_huber_errors_pick_the_same_images() -> None:
    passes = np.random.default_rng(0).dirichlet(np.ones(4), (30, 4))
    orders = [np.argsort(scores("variance", passes, error=e)).tolist() for e in ("mse", "smooth_l1", "huber")]
    assert orders[0] == orders[1] == orders[2]
    assert orders[0] != np.argsort(scores("variance", passes, error="kl")).tolist()


def test_equal_passes_in_float32_have_no_absolute_distance() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), 1000).astype(np.float32)
    mean = p * 0
    for _ in range(7):
        mean = mean + p
    mean /= 7
    regions = [Region(f"r{i}") for i in range(1000)]
    prediction = Prediction(regions, mean, 7, deviation=np.abs(p - mean))
    assert prediction.deviation.any()  # rounding leaves something …
    assert not bind("scorer", "variance", error="l1")(prediction).any()  # … which must not rank regions


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("variance(hinge)", "neither paper nor code defines it"),
        ("variance(hubert)", "Did you mean 'huber'"),
        ("variance(classes=product)", "Unknown way"),
        ("variance(views=total)", "Unknown way"),
    ],
)
def test_errors_that_do_not_exist_are_refused_before_training(text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        check(parse_strategy(f"flips > {text} > top"), SEGMENTATION, "slice", 3)


def test_an_error_asks_for_what_it_needs_only() -> None:
    needs = {"mse": "second_moment", "smooth_l1": "second_moment", "huber": "second_moment"}
    needs |= {"l1": "deviation", "kl": "member_entropy"}
    assert {e: bind("scorer", "variance", error=e).needs for e in needs} == {e: {n} for e, n in needs.items()}


def test_every_row_of_the_paper_is_a_preset_for_images_and_maps() -> None:
    names = [name for name in PRESETS if name.startswith("pcdal")]
    assert len(names) == 11
    for name in names:
        strategy = parse_strategy(name)
        check(strategy, SEGMENTATION, "slice", 3)
        check(strategy, CLASSIFICATION, "image", 3)
        assert "variance" in str(strategy)


KIDNEYS = Task(kind="segmentation", dims=2, classes={"background": 0, "left_kidney": 1, "Right kidney": 2})


@pytest.mark.parametrize("passes", ["flips", "flips(2)", "rotations(8)", "windows(flips)"])
def test_mirrored_views_of_left_and_right_are_warned_of(passes: str) -> None:
    strategy = parse_strategy(f"{passes} > variance > top")
    with pytest.warns(CuretteWarning, match="'left_kidney' is a class of its own"):
        check(strategy, KIDNEYS, "slice", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CuretteWarning)
        check(strategy, SEGMENTATION, "slice", 3)


@pytest.mark.parametrize("passes", ["rotations", "augment", "dropout", "windows(rotations)"])
def test_views_that_keep_left_on_the_left_are_fine(passes: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", CuretteWarning)
        check(parse_strategy(f"{passes} > variance > top"), KIDNEYS, "slice", 3)
