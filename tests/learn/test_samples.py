"""The column of sampled pixels: equal shares of the classes, the right pixels, and the same from tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from curette.learn.columns import SAMPLES, Pass, samples
from curette.learn.models import build
from curette.recipe import Train
from curette.task import Task

TASK = Task(kind="segmentation", dims=2, classes={"background": 0, "a": 1, "b": 2})


def _pass(classes: NDArray[np.int64], *, valid: NDArray[np.bool_] | None = None, width: int = 2) -> Pass:
    """One pass that predicts a class map [B, *S]; features number the pixels."""
    scores = np.moveaxis(np.eye(4)[classes], -1, 1)
    number = np.arange(classes[0].size, dtype=float).reshape(classes.shape[1:])
    features = np.stack([np.stack([number, -number])[:width]] * len(classes))
    return Pass(np.zeros((len(classes), 1, *classes.shape[1:])), scores, scores, valid, features, scores)


def _shares(rows: NDArray[np.float64]) -> list[int]:
    of = rows[np.isfinite(rows).all(axis=1), -4:].argmax(axis=1)
    return np.bincount(of, minlength=4).tolist()


def test_every_predicted_class_has_its_share() -> None:
    maps = np.zeros((3, 20, 30), np.int64)
    maps[0, :10], maps[0, 10] = 1, 2
    maps[1, 0, :5], maps[1, 5] = 3, 1
    found = samples(_pass(maps))
    assert found.shape == (3, SAMPLES, 1 + 2 + 4)
    assert _shares(found[0]) == [22, 21, 21, 0]
    assert _shares(found[1]) == [30, 29, 0, 5]
    assert _shares(found[2]) == [64, 0, 0, 0]


def test_positions_features_and_scores_belong_together_and_no_pixel_comes_twice() -> None:
    maps = np.random.default_rng(0).integers(0, 4, (2, 9, 13))
    found = samples(_pass(maps))
    for rows, of in zip(found, maps, strict=True):
        position = rows[:, 0].astype(int)
        assert len(set(position)) == SAMPLES
        np.testing.assert_array_equal(rows[:, 1], position)
        np.testing.assert_array_equal(rows[:, 3:].argmax(axis=1), of.ravel()[position])


def test_pixels_are_spread_over_the_whole_class() -> None:
    position = samples(_pass(np.zeros((1, 80, 80), np.int64)))[0, :, 0]
    np.testing.assert_array_less(np.abs(np.diff(np.sort(position)) - 100), 2)


def test_only_valid_pixels_count_and_missing_rows_are_not_numbers() -> None:
    maps, valid = np.zeros((2, 8, 8), np.int64), np.zeros((2, 8, 8), bool)
    maps[:, 4:] = 1
    valid[0, 3:5, :6] = True
    found = samples(_pass(maps, valid=valid))
    assert _shares(found[0]) == [6, 6, 0, 0]
    assert np.isnan(found[0, 12:]).all()
    assert np.isnan(found[1]).all()
    assert samples(_pass(maps[:, :3, :4])).shape == (2, 12, 7)


def test_a_coarser_head_gives_no_positions() -> None:
    seen = _pass(np.zeros((1, 4, 4), np.int64))
    coarse = Pass(
        seen.images, np.zeros((1, 4, 8, 8)), np.zeros((1, 4, 8, 8)), None, seen.features, seen.scores
    )
    assert (samples(coarse)[0, :, 0] == -1).all()


def test_images_as_a_whole_have_one_row() -> None:
    scores, features = np.eye(4)[:2], np.array([[1.0, 2, 3], [4, 5, 6]])
    found = samples(Pass(np.zeros((2, 1, 5, 5)), scores, scores, None, features, scores))
    np.testing.assert_array_equal(found[:, 0], [[0, 1, 2, 3, 1, 0, 0, 0], [0, 4, 5, 6, 0, 1, 0, 0]])


@pytest.mark.parametrize("shape", [(9, 13), (5, 6, 7)])
def test_tensors_give_the_same(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    maps, valid = rng.integers(0, 4, (3, *shape)), rng.random((3, *shape)) < 0.5
    seen = _pass(maps, valid=valid)
    arrays = {name: getattr(seen, name) for name in seen.__dataclass_fields__ if name != "outputs"}
    tensors = {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}
    np.testing.assert_array_equal(samples(Pass(**tensors)).numpy(), samples(seen))


@pytest.mark.parametrize("kind", ["segmentation", "classification"])
def test_the_head_of_a_real_network_explains_the_scores(kind: str) -> None:
    task = TASK.model_copy(update={"kind": kind})
    torch.manual_seed(0)
    network = build(task, 1, Train(model="unet" if kind == "segmentation" else "cnn")).eval()
    caught: list[tuple[torch.Tensor, torch.Tensor]] = []
    network.head.register_forward_hook(lambda _, inputs, output: caught.append((inputs[0], output)))
    images = torch.randn(3, 1, 20, 24)
    with torch.inference_mode():
        logits = network(images)
        rows = samples(Pass(images, logits.softmax(1), logits, None, *caught[0]))
    width = rows.shape[2] - 1 - 3
    weight, bias = network.head.weight.detach().reshape(3, width), network.head.bias.detach()
    torch.testing.assert_close(rows[..., 1 : 1 + width] @ weight.T + bias, rows[..., 1 + width :])
