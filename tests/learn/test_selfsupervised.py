"""An encoder trained on images alone: tells them apart, does not collapse, and is the same every time."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from curette.errors import CuretteWarning, DataError, SettingError
from curette.learn.encoders import Encoding
from curette.learn.selfsupervised import (
    VIEWS,
    Recipe,
    build,
    contrast,
    embed,
    encode,
    spread,
    stronger,
    train_encoder,
)
from curette.learn.torch_learner import TorchLearner
from curette.learn.train import DivergedError
from curette.recipe import Train
from curette.region import Region
from curette.registry import bind
from learn.toys import BLOBS

SMALL = Recipe(steps=60, width=48, batch=16)


class Shapes:
    """Blobs that are long along the first or along the last axis, of any place, brightness and contrast."""

    def __init__(
        self, count: int = 48, size: tuple[int, ...] = (20, 24), channels: int = 1, seed: int = 0
    ) -> None:
        rng = np.random.default_rng(seed)
        self.regions = [Region(f"c{i:03d}") for i in range(count)]
        self.kind = np.arange(count) % 2
        grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij")).astype(float)
        images = []
        for kind in self.kind:
            radius, centre = np.full(len(size), 0.12), rng.uniform(0.4, 0.6, len(size))
            radius[-kind] = 0.3
            stretched = (grid - (centre * size).reshape(-1, *[1] * len(size))).T / (radius * size[0])
            picture = np.exp(-(stretched**2).sum(-1)).T
            images.append(rng.uniform(0.1, 0.4) + rng.uniform(0.3, 0.6) * picture)
            images[-1] += rng.normal(0, 0.03, picture.shape)
        self.images = np.repeat(np.stack(images)[:, None], channels, axis=1).astype(np.float32)
        self._row = {region: i for i, region in enumerate(self.regions)}

    def batch(self, regions: Sequence[Region]) -> tuple[NDArray[np.float32], None]:
        return self.images[[self._row[r] for r in regions]], None

    def asked(self, seed: int = 0, batch: int = 10) -> Encoding:
        return Encoding(self, self.regions, seed, batch=batch)


def _agreement(features: NDArray[np.float32], kind: NDArray[np.int64]) -> float:
    """Share of images whose nearest other image is of the same kind."""
    x = (features - features.mean(0)) / (features.std(0) + 1e-6)
    distance = ((x[:, None] - x[None]) ** 2).sum(2)
    np.fill_diagonal(distance, np.inf)
    return float((kind[distance.argmin(1)] == kind).mean())


def test_features_tell_obviously_different_images_apart_and_do_not_collapse() -> None:
    shapes = Shapes()
    with warnings.catch_warnings():
        warnings.simplefilter("error", CuretteWarning)
        found = encode(shapes.asked(), SMALL)
    assert found.shape == (48, 48)
    assert found.dtype == np.float32
    untrained = encode(shapes.asked(), Recipe(steps=1, width=48, batch=16))
    assert _agreement(found, shapes.kind) >= 0.95 > _agreement(untrained, shapes.kind)
    assert _agreement(found, np.random.default_rng(0).permutation(shapes.kind)) < 0.75
    assert spread(found) > 0.2


def test_training_brings_changes_of_an_image_together() -> None:
    """What it is trained for: after it, a changed image lies closer to its own than to the others."""
    shapes, changed = Shapes(32, seed=3), Shapes(32, seed=3)
    changed.images = np.roll(shapes.images, (1, -1), axis=(2, 3)) * 0.8 + 0.15

    def confusion(steps: int) -> float:
        encoder = train_encoder(shapes.asked(), Recipe(steps=steps, width=16, batch=16))
        both = np.concatenate([embed(encoder, s.asked()) for s in (shapes, changed)])
        return contrast(torch.from_numpy(both - both.mean(axis=0)), 0.2).item()

    assert confusion(60) < confusion(1) - 1


def test_features_are_the_same_every_time_and_belong_to_the_seed() -> None:
    shapes, short = Shapes(12), Recipe(steps=4, width=8, batch=4)
    state = torch.get_rng_state()
    first = encode(shapes.asked(), short)
    torch.manual_seed(99)
    np.testing.assert_array_equal(first, encode(shapes.asked(), short))
    assert not np.allclose(first, encode(shapes.asked(seed=1), short))
    torch.set_rng_state(state)
    encode(shapes.asked(), short)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_allclose(first, encode(shapes.asked(batch=5), short), atol=1e-5)


@pytest.mark.parametrize(("size", "channels"), [((9, 11), 3), ((5, 7, 6), 1), ((4, 4), 2)])
def test_any_size_number_of_channels_and_dimensions(size: tuple[int, ...], channels: int) -> None:
    found = encode(Shapes(5, size, channels).asked(), Recipe(steps=2, width=9, batch=64))
    assert found.shape == (5, 9)
    assert np.isfinite(found).all()


def test_images_that_are_all_alike_are_told() -> None:
    shapes = Shapes(10)
    shapes.images[:] = shapes.images[0]
    with pytest.warns(CuretteWarning, match="have collapsed: they hardly differ between images"):
        encode(shapes.asked(), Recipe(steps=3, width=8, batch=4))


def test_one_image_cannot_be_told_from_others() -> None:
    with pytest.raises(SettingError, match="tell images apart, and there is 1"):
        encode(Shapes(1).asked(), SMALL)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_image_that_is_not_finite_is_named(bad: float) -> None:
    shapes = Shapes(6)
    shapes.images[4, 0, 2, 2] = bad
    with pytest.raises(DataError, match="image of 'c004' holds NaN"):
        encode(shapes.asked(), Recipe(steps=3, width=8, batch=6))


def test_a_loss_that_is_no_number_is_told() -> None:
    shapes = Shapes(6)
    shapes.images *= 1e38
    with pytest.raises(DivergedError, match="'self_supervised' diverged: within the first 2 steps"):
        encode(shapes.asked(), Recipe(steps=2, width=8, batch=6))


def test_the_loss_by_hand() -> None:
    """Two images; each row's cross-entropy over the three others, as in equation 1 of the paper."""
    z = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0], [-1.0, 1.0]])
    unit, tau = (z / z.norm(dim=1, keepdim=True)).double(), 0.5
    terms = []
    for i, j in [(0, 2), (1, 3), (2, 0), (3, 1)]:
        others = sum(math.exp(float(unit[i] @ unit[k]) / tau) for k in range(4) if k != i)
        terms.append(-math.log(math.exp(float(unit[i] @ unit[j]) / tau) / others))
    assert contrast(z, tau).item() == pytest.approx(sum(terms) / 4, abs=1e-6)


@pytest.mark.parametrize("images", [2, 5])
def test_collapse_has_a_known_loss(images: int) -> None:
    same = torch.ones(2 * images, 3)
    assert contrast(same, 0.2).item() == pytest.approx(math.log(2 * images - 1), abs=1e-6)


def test_pairs_that_agree_cost_less_than_pairs_that_do_not() -> None:
    a, b = torch.eye(4)[:2], torch.eye(4)[2:]
    agree = contrast(torch.cat([a, a]), 0.2)
    assert agree < contrast(torch.cat([a, b]), 0.2) < contrast(torch.cat([a, a.flip(0)]), 0.2)


def test_spread_is_a_share_of_the_size() -> None:
    assert spread(np.ones((5, 3), np.float32)) == 0
    assert spread(np.zeros((5, 3), np.float32)) == 0
    assert spread(np.array([[1, 0], [-1, 0]], np.float32)) == pytest.approx(1)
    assert spread(np.array([[1, 0], [0, 1]], np.float32)) == pytest.approx(math.sqrt(0.5))


def test_strength_scales_every_change_and_stays_possible() -> None:
    for strength, name in itertools.product(
        (0.3, 1.0, 2.0), ("scale", "shift", "noise", "gamma", "contrast")
    ):
        assert getattr(stronger(VIEWS, strength), name) == pytest.approx(strength * getattr(VIEWS, name))
        assert stronger(VIEWS, strength).noisy == VIEWS.noisy == 1
    strongest: Any = stronger(VIEWS, 2.0)
    assert type(strongest).model_validate(strongest.model_dump()) == strongest
    assert strongest.flip == ()


def test_the_head_is_not_part_of_the_features() -> None:
    encoder, head = build(2, 1, 16)
    assert encoder(torch.zeros(2, 1, 16, 16)).shape[:2] == (2, 16)
    assert head(torch.zeros(2, 16)).shape == (2, 16)


@pytest.mark.filterwarnings("ignore:The features of 'self_supervised' have collapsed")
def test_the_learner_encodes_without_labels() -> None:
    shapes = Shapes(12)
    learner: Any = TorchLearner(BLOBS, shapes, Train(model="cnn", device="cpu"), channels=1, batch=5)
    passes = bind("passes", "self_supervised", steps=3, width=8, batch=4)
    found = learner.encode(shapes.regions, passes, seed=7)
    np.testing.assert_array_equal(found, encode(shapes.asked(7, 5), Recipe(3, 8, 4)))
