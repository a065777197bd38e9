"""Dice, accuracy and their kin against published numbers, scikit-learn, and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from curette.errors import DataError, SettingError
from curette.learn.metrics import (
    Comparison,
    accuracy,
    auroc,
    balanced_accuracy,
    class_pixel_accuracy,
    confusion,
    confusions,
    dice,
    dice_2d,
    dice_3d,
    hd95_mm,
    metric_names,
    pixel_accuracy,
    precision,
)
from curette.registry import components
from curette.task import Task

VOLUMES = Task(kind="segmentation", dims=3, classes={"background": 0, "anterior": 1, "posterior": 2})
IMAGES = Task(kind="classification", dims=2, classes={"normal": 0, "pneumonia": 1})


def compared(prediction: object, truth: object, classes: int = 2, axis: int | None = 0) -> Comparison:
    p, t = np.array(prediction, np.uint8), np.array(truth, np.uint8)
    return Comparison(p, t, classes, (1.0,) * t.ndim, ignore=255, axis=axis)


def test_slices_and_volume_give_the_published_dice() -> None:
    truth = [[[0, 0], [0, 0]], [[1, 1], [0, 0]], [[0, 0], [0, 0]]]
    prediction = [[[0, 0], [0, 0]], [[1, 0], [0, 0]], [[0, 0], [0, 1]]]
    case = compared(prediction, truth)
    np.testing.assert_allclose(dice_2d(case)[:, 0], [1, 2 / 3, 0])
    assert dice_2d(case).mean() == pytest.approx(0.5556, abs=5e-5)
    assert dice_3d(case) == 0.5


def test_pooled_dice_weighs_large_structures_more() -> None:
    truth = np.zeros((2, 20), np.uint8)
    truth[0, :10] = truth[1, :2] = 1
    prediction = truth.copy()
    prediction[1, 1] = 0
    counts = np.stack([confusion(p, t, 2) for p, t in zip(prediction, truth, strict=True)])
    assert dice(counts).mean() == pytest.approx(0.8333, abs=5e-5)
    assert dice(counts.sum(axis=0)) == pytest.approx(0.9565, abs=5e-5)


def test_several_classes_give_the_published_dice() -> None:
    truth = np.array([[1, 2, 2], [1, 2, 2], [1, 0, 0]])
    prediction = np.array([[2, 2, 0], [1, 1, 0], [1, 1, 0]])
    values = dice(confusion(prediction, truth, 3))
    assert values == pytest.approx([4 / 7, 1 / 3])
    assert values.mean() == pytest.approx(0.4524, abs=5e-5)
    flat = confusion(np.array([0, 1, 1, 1, 2, 0, 0, 0]), np.array([0, 0, 1, 1, 2, 2, 0, 0]), 3)
    assert [dice(flat)[0], dice(flat)[1]] == pytest.approx([0.8, 2 / 3])


labels = st.integers(2, 5).flatmap(
    lambda c: st.tuples(
        st.just(c),
        st.lists(st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=40),
    )
)


@given(labels)
def test_confusion_and_dice_count_what_there_is(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = drawn
    prediction, truth = np.array(pairs, np.uint8).T
    counts = confusion(prediction, truth, classes)
    for t in range(classes):
        for p in range(classes):
            assert counts[t, p] == pairs.count((p, t))
    for c in range(1, classes):
        a, b = set(np.flatnonzero(prediction == c)), set(np.flatnonzero(truth == c))
        expected = 2 * len(a & b) / (len(a) + len(b)) if a or b else 1
        assert dice(counts)[c - 1] == pytest.approx(expected)
    np.testing.assert_array_equal(dice(counts), dice(confusion(truth, prediction, classes)))


@given(labels, st.sampled_from([255, 7, -1]), st.randoms())
def test_ignored_voxels_are_in_neither(
    drawn: tuple[int, list[tuple[int, int]]], ignore: int, random: object
) -> None:
    classes, pairs = drawn
    prediction, truth = np.array(pairs, np.int16).T
    hidden = np.array([random.random() < 0.4 for _ in pairs])  # type: ignore[attr-defined]
    expected = confusion(prediction[~hidden], truth[~hidden], classes)
    np.testing.assert_array_equal(
        confusion(prediction, np.where(hidden, ignore, truth), classes, ignore=ignore), expected
    )


@given(st.integers(0, 2**32), st.integers(2, 4), st.sampled_from([(9,), (4, 5), (3, 4, 5)]))
def test_pixel_accuracy_agrees_with_scikit_learn(seed: int, classes: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    prediction, truth = rng.integers(0, classes, (2, *shape))
    truth[rng.random(shape) < 0.3] = 255
    truth.flat[0] = 1
    seen = truth != 255
    found = pixel_accuracy(compared(prediction, truth, classes, axis=0 if len(shape) == 3 else None))
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(accuracy_score(truth[seen], prediction[seen]))


@given(st.integers(0, 2**32), st.integers(2, 4))
def test_pixel_accuracy_of_classes_is_their_recall(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    prediction, truth = rng.integers(0, classes, (2, 40))
    truth[:classes] = np.arange(classes)
    expected = recall_score(truth, prediction, average=None, labels=range(1, classes), zero_division=0)
    np.testing.assert_allclose(class_pixel_accuracy(confusion(prediction, truth, classes)), expected)


def test_pixel_accuracy_of_a_class_the_truth_never_has() -> None:
    truth = np.zeros(4, np.int16)
    assert class_pixel_accuracy(confusion(np.array([0, 0, 0, 1]), truth, 3)).tolist() == [0, 1]


def test_ignored_voxels_touch_no_distance_and_ignored_slices_do_not_count() -> None:
    truth = np.zeros((3, 8, 8), np.uint8)
    truth[1, 2:4, 2:4] = 1
    prediction = truth.copy()
    prediction[:, 7, 7] = 1
    truth[:, 7, 7] = 255
    truth[2] = 255
    case = compared(prediction, truth)
    assert hd95_mm(case) == 0
    assert dice_2d(case).tolist() == [[1], [1]]
    truth[:, 7, 7] = 0
    assert hd95_mm(compared(prediction, truth)) > 0


def test_blocks_of_slices_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    prediction, truth = rng.integers(0, 3, (2, 7, 4, 5))
    truth[2:4, 1] = 255
    expected = [confusion(p, t, 3, ignore=255) for p, t in zip(prediction, truth, strict=True)]
    for block in (1, 50, 10**6):
        monkeypatch.setattr("curette.learn.metrics.BLOCK", block)
        np.testing.assert_array_equal(confusions(prediction, truth, 3, ignore=255), expected)


def test_one_empty_is_told_per_class() -> None:
    case = compared([[1, 0, 0]], [[0, 2, 0]], classes=4)
    assert case.one_empty.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        ([0, 3], [0, 1], "prediction holds class 3"),
        ([0, -1], [0, 1], "prediction holds class -1"),
        ([0, 1], [0, 4], r"truth holds the values \[4\]"),
        ([0, 1], [0, -2], "truth holds the values \\[-2\\]"),
        ([0, 1], [0, 1, 1], "shape"),
    ],
)
def test_impossible_labels_are_named(prediction: list[int], truth: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        confusion(np.array(prediction), np.array(truth), 3, ignore=255)


@given(st.integers(0, 2**32), st.integers(2, 4), st.integers(8, 30))
def test_classification_agrees_with_scikit_learn(seed: int, classes: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % classes)
    scores = rng.dirichlet(np.ones(classes), n).round(2)
    found = scores.argmax(axis=1)
    counts = confusion(found, truth, classes)
    assert accuracy(counts)[0] == pytest.approx(accuracy_score(truth, found))
    assert balanced_accuracy(counts).mean() == pytest.approx(balanced_accuracy_score(truth, found))
    assert precision(counts).mean() == pytest.approx(
        precision_score(truth, found, average="macro", zero_division=0)
    )
    single = [roc_auc_score(truth == c, scores[:, c]) for c in range(classes)]
    assert auroc(scores, truth) == pytest.approx(single)


def test_classes_that_do_not_occur_are_undefined() -> None:
    counts = confusion(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    np.testing.assert_allclose(balanced_accuracy(counts), [2 / 3, np.nan, np.nan])
    np.testing.assert_allclose(precision(counts), [1, 0, np.nan])
    np.testing.assert_array_equal(auroc(np.eye(3), np.zeros(3, int)), [np.nan] * 3)


def test_the_usual_metrics_fit_the_task() -> None:
    flat = ("class_pixel_accuracy", "dice_2d", "dice_pooled", "hd95_mm", "pixel_accuracy")
    assert metric_names(VOLUMES.model_copy(update={"dims": 2})) == flat
    assert metric_names(VOLUMES) == tuple(sorted((*flat, "dice_3d")))
    assert metric_names(IMAGES) == ("accuracy", "auroc", "balanced_accuracy", "precision")
    assert metric_names(VOLUMES, ("hd_mm", "dice_3d", "hd_mm")) == ("hd_mm", "dice_3d")


def test_unknown_and_unfit_metrics_are_refused() -> None:
    with pytest.raises(SettingError, match=r"'dice3d'.*Did you mean 'dice_3d'"):
        metric_names(VOLUMES, ("dice3d",))
    with pytest.raises(SettingError, match=r"metric of a 2D classification 'dice_2d'.*accuracy"):
        metric_names(IMAGES, ("dice_2d",))


def test_every_metric_has_a_complete_card() -> None:
    for card in components("metric").values():
        assert card.summary
        assert set(card.info) >= {"of", "task", "dims", "higher", "usual"}
        assert card.info["of"] in ("comparison", "confusion", "scores")
