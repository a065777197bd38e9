"""Views of an image: undone on the answer, honest about what they could not see."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from curette.errors import SettingError
from curette.learn import passes  # noqa: F401  (registers them)
from curette.learn.passes import count, members
from curette.learn.views import turned
from curette.registry import bind


class _Pixels(nn.Module):
    """Foreground logit = the pixel itself: the same answer whatever the view, once that is undone."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return torch.cat((-x[:, :1], x[:, :1]), 1)


class _Gain(nn.Module):
    """Foreground probability = image ∘ G, which looks at the image it is given, whatever the view."""

    def __init__(self, gain: list[list[float]]) -> None:
        super().__init__()
        self.gain = torch.tensor(gain, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        p = x[:, 0] * self.gain
        return torch.stack((1 - p, p), 1).log()


def _run(name: str, network: nn.Module, x: Tensor, *args: object, seed: int = 0, **options: object) -> list:
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        return list(bind("passes", name, *args, **options)([network], x, generator))


SPACES = [(4, 4), (3, 5), (2, 3, 4)]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("name", "n"), [("flips", 6), ("rotations", 8)])
def test_exact_views_differ_and_are_undone(name: str, n: int, space: tuple[int, ...]) -> None:
    x = torch.arange(float(2 * math.prod(space))).reshape(2, 1, *space)
    network = _Pixels()
    found = _run(name, network, x, n)
    assert len(found) == n
    assert all(torch.equal(logits[:, 1:], x) for logits in found)
    shown = [tuple(v.shape[2:]) + tuple(v[0].flatten().tolist()) for v in network.shown]
    assert len(set(shown)) == n
    if len(space) == 3:  # the third axis of a volume is never mirrored
        assert all(torch.equal(v.sum(dim=(2, 3)), x.sum(dim=(2, 3))) for v in network.shown)


def test_views_of_rotations_are_quarter_turns_first() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    network = _Pixels()
    _run("rotations", network, x, 5)
    expected = [x, x.rot90(1, (2, 3)), x.rot90(2, (2, 3)), x.rot90(3, (2, 3)), x.flip(3)]
    assert all(torch.equal(a, b) for a, b in zip(network.shown, expected, strict=True))


def test_views_of_flips_in_order() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    network = _Pixels()
    _run("flips", network, x, 6)
    expected = [
        x,
        x.flip(3),
        x.flip(2),
        x.flip((2, 3)),
        x.flip(3).rot90(1, (2, 3)),
        x.flip(2).rot90(1, (2, 3)),
    ]
    assert all(torch.equal(a, b) for a, b in zip(network.shown, expected, strict=True))
    network.shown.clear()
    volume = torch.arange(24.0).reshape(1, 1, 2, 3, 4)
    _run("flips", network, volume, axes=(2, 0))
    expected = [volume, volume.flip(4), volume.flip(2), volume.flip((2, 4))]
    assert all(torch.equal(a, b) for a, b in zip(network.shown, expected, strict=True))


@pytest.mark.parametrize(
    ("gain", "score"),
    [([[1, 0.5], [1, 0.25]], 0.031640625), ([[0.9, 0.5], [0.3, 0.2]], 0.0215625)],
)
def test_flips_of_a_network_that_looks_at_the_place(gain: list[list[float]], score: float) -> None:
    image = torch.tensor([[0.8, 0.4], [0.2, 0.6]], dtype=torch.float64)[None, None]
    stack = torch.stack([t.softmax(1) for t in _run("flips", _Gain(gain), image)])
    if score == 0.031640625:
        expected = [
            [[0.8, 0.2], [0.2, 0.15]],
            [[0.4, 0.4], [0.05, 0.6]],
            [[0.8, 0.1], [0.2, 0.3]],
            [[0.2, 0.4], [0.1, 0.6]],
        ]
        np.testing.assert_allclose(stack[:, 0, 1], expected, atol=1e-12)
    assert (stack - stack.mean(0)).square().mean().item() == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(("name", "options"), [("flips", {}), ("rotations", {"n": 8}), ("augment", {"n": 3})])
def test_class_logits_are_left_as_they_are(name: str, options: dict[str, int]) -> None:
    corner = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        corner[1].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]]))
    found = _run(name, corner, torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), **options)
    assert all(t.shape == (1, 2) for t in found)
    if name == "flips":
        assert [t.tolist()[0] for t in found] == [[1, 2], [2, 1], [3, 4], [4, 3]]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("space", [(6, 6), (5, 5), (6, 6, 3)])
def test_quarter_turns_by_angle_are_those_of_rot90(space: tuple[int, ...], interpolation: str) -> None:
    x = torch.randn(4, 2, *space, generator=torch.Generator().manual_seed(0))
    found = turned(x, torch.tensor([0.0, 90.0, 180.0, -90.0]), interpolation)
    for number, quarters in enumerate((0, 1, 2, 3)):
        expected = x[number].rot90(quarters, (1, 2))
        torch.testing.assert_close(found[number], expected, atol=1e-4, rtol=1e-4)


@given(st.floats(-45, 45), st.integers(5, 24), st.integers(5, 24), st.sampled_from(["nearest", "bilinear"]))
def test_turning_there_and_back_finds_every_pixel_that_was_seen(
    angle: float, height: int, width: int, mode: str
) -> None:
    """On a slope, interpolation and rounding are at most a pixel off, wherever the turned image held the pixel."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    slope = torch.stack((y, x))[None] + 100
    angles = torch.tensor([angle])
    back = turned(turned(slope, angles, mode), -angles, mode)
    # Two pixels inside both frames, so that no interpolation reaches for the zeros outside.
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    v, u = y - (height - 1) / 2, x - (width - 1) / 2
    row, column = sin * u + cos * v, cos * u - sin * v
    room = [
        (a.abs() <= side / 2 - 2.5) for a, side in ((v, height), (u, width), (row, height), (column, width))
    ]
    row, column = -sin * u + cos * v, cos * u + sin * v
    room += [(a.abs() <= side / 2 - 2.5) for a, side in ((row, height), (column, width))]
    inner = torch.stack(room).all(0)
    assert ((back - slope)[0][:, inner].abs() <= 1.5).all()


def test_augmented_views_say_what_they_could_not_see() -> None:
    x = torch.ones(2, 1, 21, 21)
    network = _Pixels()
    found = _run("augment", network, x, 4, rotate=45, noise=0)
    assert torch.equal(found[0][:, 1:], x)  # the image itself comes first, seen whole
    for logits, seen in found[1:]:
        assert seen.shape == (2, 21, 21)
        assert seen.dtype == torch.bool
        assert not seen.all()
        assert seen[:, 6:15, 6:15].all()
        # A constant image is known exactly where it was seen; at its own border a view may round to the outside.
        inner = (slice(None), slice(1, -1), slice(1, -1))
        assert logits[:, 1][inner][seen[inner]].eq(1).all()
        assert logits[:, 1][~seen].lt(1).all()


def test_a_volume_is_turned_slice_by_slice() -> None:
    x = torch.randn(2, 1, 9, 7, 3, generator=torch.Generator().manual_seed(0))
    found = _run("augment", _Pixels(), x, 2, rotate=30, noise=0)
    logits, seen = found[1]
    assert seen.shape == (2, 9, 7, 3)
    assert (seen == seen[..., :1]).all()
    for z in range(3):
        flat, there = _run("augment", _Pixels(), x[..., z].contiguous(), 2, rotate=30, noise=0)[1]
        torch.testing.assert_close(logits[..., z], flat)
        assert torch.equal(seen[..., z], there)


def test_noise_has_the_deviation_asked_for_and_angles_the_range() -> None:
    network = _Pixels()
    _run("augment", network, torch.zeros(3, 1, 64, 64), 5, rotate=0, noise=0.25)
    noisy = torch.stack(network.shown[1:])
    assert noisy.std().item() == pytest.approx(0.25, rel=0.02)
    assert not network.shown[0].any()
    assert not torch.equal(noisy[0, 0], noisy[0, 1])  # each image has its own
    spread = torch.linspace(-1, 1, 41)
    network.shown.clear()
    _run(
        "augment",
        network,
        spread.expand(200, 1, 41, 41).contiguous(),
        2,
        rotate=10,
        noise=0,
        interpolation="bilinear",
    )
    down = (
        network.shown[1][:, 0, 30, 20] - network.shown[1][:, 0, 10, 20]
    )  # 2 sin of the angle, over the slope
    angles = torch.asin((down / 20 / 0.05).clamp(-1, 1)).rad2deg().abs()
    assert angles.max() < 10.01
    assert angles.max() > 9
    assert angles.min() < 1


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_an_image_gets_the_same_views_in_any_batch(batch: int) -> None:
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def all_passes(size: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(3)
        parts = [
            list(bind("passes", "augment", 3)([_Pixels()], x[i : i + size], generator))
            for i in range(0, 5, size)
        ]
        return [torch.cat([p[t][0] if isinstance(p[t], tuple) else p[t] for p in parts]) for t in range(3)]

    for a, b in zip(all_passes(batch), all_passes(5), strict=True):
        torch.testing.assert_close(a, b)


def test_augment_repeats_with_its_seed() -> None:
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    first, again, other = (_run("augment", _Pixels(), x, 3, seed=s) for s in (1, 1, 2))
    assert torch.equal(first[1][0], again[1][0])
    assert not torch.equal(first[1][0], other[1][0])


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("flips", {"n": 7}, "1 to 6 views"),
        ("flips", {"axes": (0, 0)}, "two different axes"),
        ("flips", {"axes": (0, 3)}, "two different axes"),
        ("rotations", {"n": 9}, "1 to 8 views"),
        ("rotations", {"n": 0}, "makes no pass"),
        ("augment", {"rotate": -1.0}, "angles are 0 to 180"),
        ("augment", {"noise": math.nan}, "noise is"),
        ("augment", {"rotate": 0.0, "noise": 0.0}, "all views are the same"),
        ("augment", {"interpolation": "bilinar"}, "Did you mean 'bilinear'"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_is_run(
    name: str, options: dict[str, object], says: str
) -> None:
    with pytest.raises(SettingError, match=says):
        members(bind("passes", name, **options))


def test_images_without_the_axis_to_mirror() -> None:
    with pytest.raises(SettingError, match="2 axes of space"):
        _run("flips", _Pixels(), torch.zeros(1, 1, 4, 4), axes=(2, 0))


def test_how_many_passes_they_make() -> None:
    made = {"flips": 4, "rotations": 4, "augment": 8}
    assert {name: count(bind("passes", name)) for name in made} == made


def test_angles_are_exact_in_mixed_precision() -> None:
    x = torch.randn(1, 1, 9, 300, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = turned(x, torch.tensor([7.0]), "nearest")
    assert torch.equal(found, turned(x, torch.tensor([7.0]), "nearest"))
