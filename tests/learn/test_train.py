"""Training: it learns, repeats to the bit, and loses no class."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from curette.errors import DataError, SettingError
from curette.learn.progress import Clock
from curette.learn.schedules import cosine
from curette.learn.torch_learner import TorchModel
from curette.learn.train import DivergedError, shuffled_passes
from curette.recipe import Augment
from curette.region import Region
from curette.registry import bind
from learn.toys import BLOBS, DISCS, Pictures, dice, learner

_single = bind("passes", "single")


def _weights(model: TorchModel, member: int = 0) -> torch.Tensor:
    return torch.cat([v.flatten().float() for v in model.networks[member].state_dict().values()])


def _found(pictures: Pictures, model: TorchModel, regions: list[Region]) -> NDArray[np.int64]:
    parts = learner(pictures).predict(model, regions, _single, frozenset(), seed=0)
    return np.concatenate([p.mean.argmax(1).numpy() for p in parts])


def test_learns_discs_and_loses_no_class_that_is_small_and_rare() -> None:
    pictures = Pictures(DISCS, 30, core=0.08)  # the core is 1.7 % of the image …
    known = {r: pictures.labels[r] for r in pictures.regions[:8]}
    for region in pictures.regions[2:8]:  # … and only two of eight pictures have one
        pictures.images[region] -= 0.4 * (known[region] == 2)
        known[region] = np.minimum(known[region], 1)
    test = pictures.regions[10:]
    truth = np.stack([pictures.labels[r] for r in test])
    for seed in range(3):
        model = learner(pictures, steps=120, augment=Augment(), options={}).fit(known, seed=seed)
        found = _found(pictures, model, test)
        assert dice(found, truth, 1) > 0.8
        assert dice(found, truth, 2) > 0.7


def test_learns_to_classify() -> None:
    pictures = Pictures(BLOBS, 24)
    known = {r: pictures.labels[r] for r in pictures.regions[:12]}
    model = learner(pictures, steps=60).fit(known, seed=0)
    truth = np.stack([pictures.labels[r] for r in pictures.regions[12:]])
    assert (_found(pictures, model, pictures.regions[12:]) == truth).mean() >= 0.9


def test_same_labels_and_seed_give_bit_equal_weights() -> None:
    pictures = Pictures(DISCS, 6)
    maker = learner(pictures, steps=8, augment=Augment(flip=("x",)))
    torch.manual_seed(1)
    one = maker.fit(pictures.labels, seed=5)
    torch.manual_seed(2)
    np.random.default_rng().random()
    backwards = dict(reversed(pictures.labels.items()))
    assert torch.equal(_weights(one), _weights(maker.fit(backwards, seed=5)))
    assert not torch.equal(_weights(one), _weights(maker.fit(pictures.labels, seed=6)))


def test_the_first_member_does_not_depend_on_how_many_there_are() -> None:
    pictures = Pictures(DISCS, 4)
    maker = learner(pictures, steps=4)
    one, three = (maker.fit(pictures.labels, seed=5, members=n) for n in (1, 3))
    assert three.members == 3
    assert torch.equal(_weights(one), _weights(three))
    assert not torch.equal(_weights(three, 0), _weights(three, 1))


def test_training_leaves_the_global_generator_alone() -> None:
    pictures = Pictures(DISCS, 2)
    state = torch.get_rng_state()
    learner(pictures, steps=2).fit(pictures.labels, seed=0)
    assert torch.equal(state, torch.get_rng_state())


def test_what_lies_under_the_ignore_value_does_not_matter() -> None:
    pictures = Pictures(DISCS, 4)
    partial = {r: np.where(np.arange(24) < 12, label, 255) for r, label in pictures.labels.items()}
    other = {r: np.where(np.arange(24) < 12, label, 1) for r, label in pictures.labels.items()}
    maker = learner(pictures, steps=4, augment=Augment())
    model = maker.fit(partial, seed=0)
    assert torch.isfinite(_weights(model)).all()
    assert not torch.equal(_weights(model), _weights(maker.fit(other, seed=0)))


def test_fine_tuning_goes_on_from_the_weights_it_is_given() -> None:
    pictures = Pictures(DISCS, 12)
    known = {r: pictures.labels[r] for r in pictures.regions[:6]}
    test, truth = pictures.regions[6:], np.stack([pictures.labels[r] for r in pictures.regions[6:]])
    start = learner(pictures, steps=80).fit(known, seed=0)
    before = _weights(start).clone()
    short = learner(pictures, steps=2, lr=1e-4)
    tuned = short.fit(known, seed=1, start=start)
    assert dice(_found(pictures, tuned, test), truth, 1) > 0.8
    assert dice(_found(pictures, short.fit(known, seed=1), test), truth, 1) < 0.8
    assert torch.equal(before, _weights(start))
    with pytest.raises(SettingError, match="holds 1 networks, but 2 are wanted"):
        short.fit(known, seed=1, members=2, start=start)


def test_a_loss_that_is_no_number_is_an_error_that_says_what_to_do() -> None:
    pictures = Pictures(DISCS, 4)
    pictures.images[pictures.regions[1]][0, 3, 3] = np.nan
    with pytest.raises(DivergedError, match=r"train\.lr.*NaN"):
        learner(pictures, steps=5).fit(pictures.labels, seed=0)


def test_labels_that_do_not_fit_are_named() -> None:
    pictures = Pictures(DISCS, 2)
    region = pictures.regions[1]
    maker = learner(pictures)
    with pytest.raises(DataError, match=r"c01 has shape \(3, 3\)"):
        maker.fit({**pictures.labels, region: np.zeros((3, 3), np.uint8)}, seed=0)
    with pytest.raises(DataError, match=r"c01 holds \[7\]"):
        maker.fit({**pictures.labels, region: np.full((20, 24), 7, np.uint8)}, seed=0)
    with pytest.raises(SettingError, match="no region is labelled"):
        maker.fit({}, seed=0)


def test_no_warnings() -> None:
    pictures = Pictures(DISCS, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = learner(pictures, steps=2, augment=Augment()).fit(pictures.labels, seed=0)
        _found(pictures, model, pictures.regions)


def test_batches_are_shuffled_passes() -> None:
    batches = shuffled_passes(5, 3, torch.Generator().manual_seed(0))
    drawn = torch.cat([next(batches) for _ in range(10)]).reshape(-1, 5)
    assert (drawn.sort(1).values == torch.arange(5)).all()
    assert len({tuple(p) for p in drawn.tolist()}) > 1
    few = shuffled_passes(2, 5, torch.Generator().manual_seed(0))
    assert sorted(next(few).tolist() + next(few).tolist()) == [0] * 5 + [1] * 5


def test_learning_rate_rises_then_falls_to_nearly_nothing() -> None:
    rates = [cosine(Clock(step, 100), 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert max(rates) == rates[10] == 1
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert cosine(Clock(0, 1), 0.05) == 1
