"""The accuracy predictor: the worked targets, what it must not touch, when it is silent, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from company import company, train_along
from toys import BLOBS, DISCS

from curette.errors import SettingError
from curette.learn.companions.accuracy_predictor import AccuracyPredictor, Options, hard_dice
from curette.learn.companions.contract import Accompanied
from curette.learn.progress import Clock
from curette.learn.schedules import cosine
from curette.recipe import Train
from curette.task import Task

NETWORKS = ["unet", "monai_unet", "stochastic_batches_unet", "unet_plus_plus", "resnet18_unet"]
"""Of every family of segmentation networks one, with dropout of every kind."""
DEFAULT = Options(0.0125, 0.5, 0.0, 1e-4)


def _said(pred: Any, classes: int) -> torch.Tensor:
    """Logits [1, C, *S] whose arg max is `pred`."""
    return torch.nn.functional.one_hot(torch.tensor(pred), classes).movedim(-1, 0)[None].float()


@pytest.mark.parametrize(
    ("pred", "truth", "expected"),
    [
        ([[0, 0, 1, 1]] * 2, [[0, 0, 0, 1], [0, 2, 2, 1]], [0.75, 0.6667, 0.0, 1.0]),
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], [1.0, 1.0, 1.0]),
        ([[1, 0], [0, 0]], [[0, 0], [0, 0]], [0.8571, 0.0, 1.0]),
    ],
)
def test_the_worked_targets(pred: Any, truth: Any, expected: list[float]) -> None:
    found = hard_dice(_said(pred, len(expected)), torch.tensor(truth)[None], 255)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_what_nobody_annotated_is_in_neither() -> None:
    """As the third worked one, where the wrong pixel has no label."""
    found = hard_dice(_said([[1, 0], [0, 0]], 3), torch.tensor([[[255, 0], [0, 0]]]), 255)
    np.testing.assert_allclose(found[0], [1, 1, 1])


def test_the_loss_is_the_worked_squared_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first sample; the second has no label, and does not count."""
    task = Task.model_validate(
        {"kind": "segmentation", "dims": 2, "classes": {c: i for i, c in enumerate("oabc")}}
    )
    model = company(task, "accuracy_predictor(silent=0)")
    assert isinstance(model, Accompanied)
    said = _said([[0, 0, 1, 1]] * 2, 4).repeat(2, 1, 1, 1)
    labels = torch.tensor([[[0, 0, 0, 1], [0, 2, 2, 1]], [[255] * 4] * 2])
    guess = torch.tensor([[0.9, 0.5, 0.8, 0.7], [0.1, 0.2, 0.3, 0.4]])
    monkeypatch.setattr(AccuracyPredictor, "predict", lambda *_: guess)
    predictor: Any = model.companions["accuracy_predictor"]
    model(torch.zeros(2, 1, 2, 4))
    assert model._last is not None
    found = predictor.loss(model._last[0], said, labels, Clock(0, 10))
    assert found.item() == pytest.approx(0.1950722, abs=1e-6)


@pytest.mark.parametrize(
    ("size", "channels"), [((37, 22), 1), ((9, 7), 3), ((64, 64), 1), ((40, 17, 9), 2)], ids=str
)
def test_one_number_a_class_for_any_size(size: tuple[int, ...], channels: int) -> None:
    task = Task.model_validate(
        {"kind": "segmentation", "dims": len(size), "classes": {"background": 0, "a": 1, "b": 2}}
    )
    model = company(task, "accuracy_predictor(silent=0)", channels=channels)
    assert isinstance(model, Accompanied)
    x, y = torch.randn(1, channels, *size), torch.zeros(1, *size, dtype=torch.int64)
    model(x)
    (term,) = model.losses(y, Clock(0, 10))  # a single image has a norm's statistics
    assert torch.isfinite(term)
    model.eval()
    with torch.no_grad():
        model(x)
    found = model.outputs()["predicted_accuracy"]
    assert found.shape == (1, 3)
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_it_goes_with_every_network_and_never_touches_it(name: str) -> None:
    """Two steps with it and without it: weights, statistics and dropout of the network are the same to the last bit."""
    drawn = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(2, 1, 22, 18, generator=drawn), torch.randint(0, 3, (2, 22, 18), generator=drawn))
        for _ in range(2)
    ]
    networks = []
    for texts in ((), ("accuracy_predictor(silent=0)",)):
        model = company(DISCS, *texts, model=name)
        noted = train_along(model, batches, DISCS, Clock(0, 10))
        networks.append(model.network if isinstance(model, Accompanied) else model)
    assert len(noted[0]) == 1
    plain, accompanied = (network.state_dict() for network in networks)
    assert plain.keys() == accompanied.keys()
    for key, value in plain.items():
        assert torch.equal(value, accompanied[key]), key


def test_nothing_flows_back() -> None:
    model = company(DISCS, "accuracy_predictor(silent=0)")
    assert isinstance(model, Accompanied)
    x, y = torch.randn(2, 1, 20, 24), torch.randint(0, 3, (2, 20, 24))
    model(x)
    (term,) = model.losses(y, Clock(0, 10))
    term.backward()
    assert all(p.grad is None for p in model.network.parameters())
    assert all(p.grad is not None for p in model.companions.parameters())


@pytest.mark.parametrize(
    ("clock", "silent"),
    [
        (Clock(0, 0, epoch=4, epochs=400), True),
        (Clock(0, 0, epoch=5, epochs=400), False),
        (Clock(9, 800), True),
        (Clock(10, 800), False),
    ],
)
def test_it_is_silent_at_first(clock: Clock, silent: bool) -> None:
    model = company(DISCS, "accuracy_predictor")
    assert isinstance(model, Accompanied)
    model(torch.randn(2, 1, 20, 24))
    found = model.losses(torch.zeros(2, 20, 24, dtype=torch.int64), clock)
    assert len(found) == (0 if silent else 1)


def _rates(clocks: list[Clock], rates: list[float], *, moved: int = -1) -> list[float]:
    """The predictor's rate at each clock; before the one of number `moved` it goes to a new predictor."""
    predictor, found = AccuracyPredictor(DISCS, 1, DEFAULT), []
    for number, (clock, now) in enumerate(zip(clocks, rates, strict=True)):
        if number == moved:
            state = predictor.state_dict()
            predictor = AccuracyPredictor(DISCS, 1, DEFAULT)
            predictor.load_state_dict({k: v.cpu().contiguous() for k, v in state.items()})
        found.append(predictor.rate(clock, now))
    return found


@pytest.mark.parametrize("moved", [-1, 30])
def test_its_rate_lags_by_the_silent_epochs(moved: int) -> None:
    """However many steps an epoch has: they grow with the labels."""
    clocks, rates, step = [], [], 0
    for epoch in range(40):
        for _ in range(1 + epoch // 10):
            clocks.append(Clock(step, 0, epoch=epoch, epochs=400))
            rates.append(min(1.0, (epoch + 1) / 10))
            step += 1
    expected = [rates[0] if c.epoch < 5 else min(1.0, (c.epoch - 4) / 10) for c in clocks]
    assert _rates(clocks, rates, moved=moved) == expected


def test_its_rate_lags_by_the_silent_steps() -> None:
    clocks = [Clock(step, 800) for step in range(100)]
    rates = [cosine(Clock(step, 800), 0.05) for step in range(100)]
    assert _rates(clocks, rates) == [rates[max(0, step - 10)] for step in range(100)]


def test_a_new_training_starts_with_new_rates() -> None:
    clocks = [Clock(step % 50, 800) for step in range(100)]
    rates = [cosine(Clock(step % 50, 800), 0.05) for step in range(100)]
    found = _rates(clocks, rates)
    assert found[50:] == found[:50]


def test_its_optimiser_spares_biases_and_norms() -> None:
    predictor = AccuracyPredictor(DISCS, 1, DEFAULT)
    own = predictor.optimiser(Train(lr=0.004))
    weights, others = own.param_groups
    assert (weights["lr"], weights["weight_decay"], others["weight_decay"]) == (0.004, 1e-4, 0)
    assert {p.ndim for p in others["params"]} == {1}
    assert len(weights["params"]) + len(others["params"]) == len(list(predictor.parameters()))
    fixed = AccuracyPredictor(DISCS, 1, Options(0.0125, 0.5, 0.01, 1e-4)).optimiser(Train())
    assert fixed.param_groups[0]["lr"] == 0.01


@pytest.mark.parametrize("text", ["accuracy_predictor(silent=1)", "accuracy_predictor(dropout=-0.1)"])
def test_options_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="accuracy_predictor: silent is"):
        company(DISCS, text)


def test_it_is_for_segmentation() -> None:
    with pytest.raises(SettingError, match="is for 2D segmentation and 3D segmentation"):
        company(BLOBS, "accuracy_predictor", model="cnn")
