"""Windows of a volume: where they lie, and that together they are the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from curette.errors import SettingError
from curette.learn.models import build
from curette.learn.passes import count, members
from curette.learn.predict import windowed
from curette.learn.slabs import Slab, joined
from curette.learn.sums import Sums
from curette.learn.windows import starts
from curette.query.granularity import unit
from curette.query.strategy import parse_strategy
from curette.recipe import Train
from curette.region import Region
from curette.registry import Bound, bind
from curette.task import Task


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (80, [0]),
        (96, [0]),
        (97, [0, 1]),
        (100, [0, 4]),
        (155, [0, 59]),
        (160, [0, 64]),
        (161, [0, 64, 65]),
        (240, [0, 64, 128, 144]),
    ],
)
def test_where_windows_start(length: int, expected: list[int]) -> None:
    assert starts(length, 96, 64) == expected


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_windows_cover_everything_and_stay_inside(length: int, size: int, stride: int) -> None:
    stride = min(stride, size)
    found = starts(length, size, stride)
    assert found == sorted(set(found))
    assert set().union(*(range(a, a + size) for a in found)) == set(range(max(length, size)))


class _Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(tuple(x.shape))
        return torch.cat((-x, x), 1)


class _Place(nn.Module):
    """Foreground probability = patch / (1 + i + 2j) by the place (i, j) in the window."""

    def forward(self, x: Tensor) -> Tensor:
        i, j = torch.meshgrid(torch.arange(2.0), torch.arange(2.0), indexing="ij")
        p = x[:, 0] / (1 + i + 2 * j).double()[:, :, None]
        return torch.stack((1 - p, p), 1).log()


def _network() -> nn.Module:
    task = Task(kind="segmentation", dims=3, classes={"background": 0, "organ": 1})
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return build(task, 1, Train(options={"widths": [4, 8]})).eval()


def _around(passes: str, **options: object) -> Bound:
    return bind("passes", "windows", bind("passes", passes), **options)


@pytest.mark.parametrize("blend", ["gaussian", "constant"])
@pytest.mark.parametrize("space", [(7, 12), (3, 3), (5, 9, 4)])
def test_windows_put_together_are_the_whole(space: tuple[int, ...], blend: str) -> None:
    x = torch.randn(2, 1, *space, generator=torch.Generator().manual_seed(0))
    network = _Pixels()
    found = list(joined(_around("flips", size=4, stride=3, blend=blend)([network], x, torch.Generator())))
    assert len(found) == 4
    for logits, seen, *_ in found:
        assert seen is None
        torch.testing.assert_close(logits, torch.cat((-x, x), 1))
    assert {shape[1:] for shape in network.shown} == {(1, *(4,) * len(space))}
    assert all(shape[0] % 2 == 0 for shape in network.shown)


def test_windows_together_and_one_by_one_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 1, 9, 11, 7, generator=torch.Generator().manual_seed(0))
    answers: list[Any] = []
    shown: list[int] = []
    for most in (2 * 3 * 8 * 8 * 4, 1):
        monkeypatch.setattr("curette.learn.windows.TOGETHER", most)
        network, sums = _network(), Sums(frozenset({"mean", "embedding"}), x, None)
        network.deepest.register_forward_hook(lambda *given, s=sums: s.embed(given[2]))
        network.register_forward_hook(lambda *given: shown.append(len(given[2])))
        passes = _around("flips", size=(8, 8, 4), stride=(6, 6, 3))
        for slab in passes([network], x, torch.Generator()):
            sums.add(slab)
        answers.append(sums.prediction([Region("a"), Region("b")], passes))
    together, alone = answers
    assert 6 in shown
    assert shown[-1] == 2
    torch.testing.assert_close(together.mean, alone.mean)
    torch.testing.assert_close(together.embedding, alone.embedding)


def test_maps_of_features_of_windows_that_go_together_are_refused() -> None:
    sums = Sums(frozenset({"feature_map", "gradient"}), torch.zeros(1, 1, 4, 4), None)
    with pytest.raises(SettingError, match="map of features"):
        sums.embed(torch.zeros(3, 2, 2, 2))
    with pytest.raises(SettingError, match="gradient is needed of whole images"):
        sums.look(torch.zeros(3, 2, 4, 4), torch.zeros(3, 2, 4, 4))


def test_a_view_of_a_window_may_see_less_of_it() -> None:
    x = torch.ones(1, 1, 16, 16)
    inner = bind("passes", "augment", 2, rotate=40, noise=0)
    made = bind("passes", "windows", inner, size=8, stride=8)([_Pixels()], x, torch.Generator())
    (plain, all_seen, *_), (logits, seen, *_) = joined(made)
    torch.testing.assert_close(plain[:, 1:], x)
    assert all_seen is None
    assert seen is not None
    assert not seen.all()
    torch.testing.assert_close(logits[:, 1][seen], torch.ones(int(seen.sum())))


def test_class_logits_are_averaged_over_windows() -> None:
    def network(x: Tensor) -> Tensor:
        return x.flatten(2).mean(2)

    x = torch.arange(8.0).reshape(1, 1, 2, 4)
    (found,) = _around("single", size=2, stride=2)([network], x, torch.Generator())
    assert found.last
    assert found.logits.item() == pytest.approx(3.5)


def test_perturbation_consistency_of_a_volume_window_by_window() -> None:
    i, j, k = np.meshgrid(np.arange(3), np.arange(2), np.arange(2), indexing="ij")
    volume = torch.from_numpy((4 * i + 2 * j + k) / 20)
    rows = torch.stack([volume[a : a + 2] for a in starts(3, 2, 2)])[:, None]
    strategy = parse_strategy("pcdal")
    sums = Sums(strategy.needs, rows, None)
    for logits in strategy.passes([_Place()], rows, torch.Generator()):
        sums.add(Slab(logits))
    prediction = sums.prediction([Region("a"), Region("b")], strategy.passes)
    each = unit(strategy.scorer(prediction), prediction, frozenset()).score
    np.testing.assert_allclose(each, [0.0037027995, 0.0130126953], atol=1e-7)
    assert each.mean() == pytest.approx(0.0083577477, abs=1e-7)
    summed = unit(bind("scorer", "variance", views="sum")(prediction), prediction, frozenset()).score
    assert summed.mean() == pytest.approx(0.0334309896, abs=1e-7)


def test_they_need_what_the_passes_inside_need() -> None:
    assert count(_around("flips")) == 4
    assert members(bind("passes", "windows", bind("passes", "ensemble", 3))) == 3
    assert _around("dropout").says("stochastic")
    assert not _around("flips").says("stochastic")
    assert (
        str(parse_strategy("windows(flips(6), stride=32) > variance > top").passes)
        == "windows(flips(6), stride=32)"
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stride": 97}, "stride 97"),
        ({"size": 0}, "size is 0"),
        ({"blend": "gausian"}, "Did you mean 'gaussian'"),
    ],
)
def test_impossible_windows(options: dict[str, object], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        members(_around("flips", **options))
    with pytest.raises(SettingError, match="makes no pass"):
        members(bind("passes", "windows", bind("passes", "dropout", 0)))


def test_maps_of_features_and_heads_are_not_put_together() -> None:
    needs = frozenset({"feature_map", "gradient"})
    sums = Sums(needs, torch.zeros(1, 1, 4, 4), None)
    sums.embed(torch.zeros(1, 2, 2, 2))
    with pytest.raises(SettingError, match="map of features"):
        sums.embed(torch.zeros(1, 2, 2, 2))
    sums.look(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))
    with pytest.raises(SettingError, match="gradient is needed of whole images"):
        sums.look(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))


class _Lines(nn.Module):
    """Two classes that depend on the place in the window, so that blending shows."""

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.linspace(0, 1, x.shape[2])[:, None, None] + torch.linspace(0, 2, x.shape[4])
        return torch.cat((x * ramp, x - ramp), 1)


@pytest.mark.parametrize("space", [(19, 12, 9), (6, 20, 11)])
@pytest.mark.parametrize("blend", ["gaussian", "constant"])
def test_windows_are_those_of_monais_inferer(space: tuple[int, ...], blend: str) -> None:
    from monai.inferers import sliding_window_inference

    x, roi = torch.randn(1, 1, *space, generator=torch.Generator().manual_seed(0)), (8, 8, 4)
    expected = sliding_window_inference(x, roi, 1, _Lines(), overlap=0.25, mode=blend)
    passes = windowed(bind("passes", "single"), space, roi)
    passes = bind("passes", "windows", **passes.options | {"blend": blend})
    (found,) = joined(passes([_Lines()], x, torch.Generator()))
    torch.testing.assert_close(found.logits, expected, rtol=1e-4, atol=1e-5)


def test_units_that_are_no_larger_than_the_crop_need_no_windows() -> None:
    single = bind("passes", "single")
    assert windowed(single, (8, 8, 4), (8, 8, 4)) is single
    assert windowed(single, (9, 9, 9), None) is single
    wide = windowed(single, (9, 8, 4), (8, 8, 4))
    assert str(wide) == "windows(single, size=[8, 8, 4], stride=[6, 6, 3])"
    assert windowed(wide, (99, 99, 99), (8, 8, 4)) is wide
