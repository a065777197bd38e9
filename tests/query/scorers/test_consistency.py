"""The scores of SBC-AL against numbers worked out by hand."""

import numpy as np
import pytest
import torch

from curette.errors import CuretteWarning, SettingError
from curette.learn.columns import Pass
from curette.learn.companions.consistency import (
    boundary_distance,
    boundary_inconsistency,
    structure_inconsistency,
)
from curette.learn.distance import inner_distances
from curette.query.candidates import Candidates, Labelled
from curette.query.scorers.consistency import combined, structure_boundary, structure_score
from curette.region import Region

DEFAULT = {"angle": 0.6, "cosine": "scale_free", "dice": "printed", "distances": "normalised"}


def mask(rows: slice, columns: slice, side: int = 9) -> np.ndarray:
    found = np.zeros((side, side), bool)
    found[rows, columns] = True
    return found


LEFT, RIGHT = mask(slice(2, 7), slice(2, 7)), mask(slice(2, 7), slice(3, 8))
SMALL = mask(slice(3, 6), slice(3, 6))


def facts(s: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The column of one region with these maps [C, *S]."""
    said = {"structure": s[None].astype(float), "distances": d[None].astype(float)}
    p = np.zeros_like(said["structure"])
    return structure_inconsistency(Pass(p, p, p, outputs=said))[0]


def foreground(region: np.ndarray, *, normalise: bool) -> np.ndarray:
    """The distance map [1, 9, 9] of a mask."""
    maps = inner_distances(torch.from_numpy(region[None].astype(np.int64)), 2, normalise=normalise)
    return maps[0, 1:].numpy()


@pytest.mark.parametrize(
    ("other", "raw", "normalised", "scs", "printed"),
    [
        (LEFT, (-1, -0.083333, -0.2), (-1, -0.333333, 0.4, 0), -0.44, -0.04),
        (RIGHT, (-0.666667, -0.055556, 0.2), (-0.666667, -0.222222, 0.6, 0.333333), -0.16, 0.106667),
        (SMALL, (-0.57735, -0.166667, 0.636364), (-0.57735, -0.333333, 0.666667, 0.5), -0.079743, 0.066667),
    ],
)
def test_every_form_on_squares(other: np.ndarray, raw, normalised, scs: float, printed: float) -> None:
    maps = {
        unit: facts(*(foreground(m, normalise=unit == "normalised") for m in (LEFT, other)))
        for unit in ("raw", "normalised")
    }

    def score(unit: str, **how: object) -> float:
        return float(structure_score(maps[unit], **(DEFAULT | {"distances": unit} | how)))

    for unit, wanted in (("raw", raw), ("normalised", normalised)):
        found = (
            score(unit, angle=1.0),
            score(unit, angle=1.0, cosine="printed"),
            score(unit, angle=0.0),
            score(unit, angle=0.0, dice="squared"),
        )
        np.testing.assert_allclose(found[: len(wanted)], wanted, atol=1e-6)
    assert score("normalised") == pytest.approx(scs, abs=1e-6)
    assert score("normalised", cosine="printed") == pytest.approx(printed, abs=1e-6)
    # Statistics of raw maps are enough for the normalised form of both.
    assert float(structure_score(maps["raw"], **(DEFAULT | {"distances": "rescaled"}))) == pytest.approx(
        scs, abs=1e-6
    )


@pytest.mark.parametrize(
    ("side", "wanted"), [(3, -1), (5, -0.083333), (9, -0.005682), (15, -0.000620), (21, -0.000154)]
)
def test_the_printed_cosine_calls_large_organs_inconsistent(side: int, wanted: float) -> None:
    square = mask(slice(2, 2 + side), slice(2, 2 + side), side + 4)
    maps = facts(*[foreground(square, normalise=False)] * 2)
    how = {"angle": 1.0, "dice": "printed", "distances": "raw"}
    assert structure_score(maps, cosine="printed", **how) == pytest.approx(wanted, abs=1e-5)
    assert structure_score(maps, cosine="scale_free", **how) == pytest.approx(-1)


def test_the_printed_dice_of_large_equal_maps_is_far_below_0() -> None:
    square = mask(slice(2, 23), slice(2, 23), 25)
    maps = facts(*[foreground(square, normalise=False)] * 2)
    found = structure_score(maps, **(DEFAULT | {"angle": 0.0, "distances": "raw"}))
    assert found == pytest.approx(-4.04, abs=0.01)


def test_two_vectors() -> None:
    maps = facts(np.array([[0, 0.5, 1, 0.5]]), np.array([[0, 1, 0.5, 0.5]]))
    assert structure_score(maps, **(DEFAULT | {"angle": 1.0})) == pytest.approx(-0.833333, abs=1e-6)
    assert structure_score(maps, **(DEFAULT | {"angle": 1.0, "cosine": "printed"})) == pytest.approx(
        -0.555556, abs=1e-6
    )
    assert structure_score(maps, **(DEFAULT | {"angle": 0.0})) == pytest.approx(0.375)
    assert structure_score(maps, **DEFAULT) == pytest.approx(-0.35)


def test_maps_of_nothing() -> None:
    empty, some = np.zeros((2, 4)), np.ones((2, 4))
    assert structure_score(facts(empty, some), **(DEFAULT | {"angle": 1.0})) == 0
    assert structure_score(facts(empty, empty), **DEFAULT) == 0
    assert structure_score(facts(empty, some), **(DEFAULT | {"angle": 0.0})) == 1


def test_combinations_of_a_pool_differ() -> None:
    scs, bcs = np.array([-0.2, -0.45, -0.3]), np.array([2.0, 10.0, 0.0])
    raw = combined(scs, bcs, 0.8, stretch=False)
    np.testing.assert_allclose(raw, [0.24, 1.64, -0.24])
    stretched = combined(scs, bcs, 0.8, stretch=True)
    np.testing.assert_allclose(stretched, [0.84, 0.2, 0.48])
    diagonal = combined(scs, bcs / np.hypot(256, 256), 0.8, stretch=False)
    np.testing.assert_allclose(diagonal, [-0.158895, -0.354476, -0.24], atol=1e-6)
    assert np.argsort(-raw).tolist() == [1, 0, 2]
    assert np.argsort(-stretched).tolist() == np.argsort(-diagonal).tolist() == [0, 2, 1]


def test_what_is_the_same_everywhere_counts_nothing() -> None:
    np.testing.assert_allclose(combined(np.full(2, -0.3), np.array([1.0, 3.0]), 0.8, stretch=True), [0, 0.2])


def test_hausdorff_distances() -> None:
    assert boundary_distance(LEFT, LEFT) == 0
    assert boundary_distance(LEFT, RIGHT) == 1
    assert boundary_distance(LEFT, SMALL) == pytest.approx(2**0.5)
    near = mask(slice(1, 3), slice(1, 3), 8)
    far = near.copy()
    far[6, 5] = True
    assert boundary_distance(near, far) == boundary_distance(far, near) == 5
    nothing = np.zeros((8, 8), bool)
    assert boundary_distance(nothing, nothing) == 0
    assert boundary_distance(near, nothing) == pytest.approx(8 * 2**0.5)


def test_the_frame_and_invalid_pixels_are_no_boundary() -> None:
    half = mask(slice(0, 4), slice(0, 8), 8)
    more = mask(slice(0, 6), slice(0, 8), 8)
    assert boundary_distance(half, more) == 2
    assert boundary_distance(half, np.ones((8, 8), bool)) == pytest.approx(8 * 2**0.5)  # has no boundary
    known = np.ones((8, 8), bool)
    known[6:] = False
    assert boundary_distance(half, more, known) == pytest.approx(8 * 2**0.5)


def seen(refined: np.ndarray, coarse: np.ndarray, valid: np.ndarray | None = None) -> Pass:
    """A pass whose logits have these class maps [B, *S] of three classes."""
    logits, own = (np.moveaxis(np.eye(3)[m], -1, 1) for m in (refined, coarse))
    return Pass(logits[:, :1], logits, logits, valid, outputs={"coarse": own})


def test_boundaries_are_averaged_over_classes_that_are_there() -> None:
    a = LEFT.astype(int)
    b = RIGHT.astype(int)
    b[0, 0] = 2
    found = boundary_inconsistency(seen(np.stack([a, a, 0 * a]), np.stack([RIGHT.astype(int), b, 0 * a])))
    diagonal = 9 * 2**0.5
    np.testing.assert_allclose(found[:, 0], [1, (1 + diagonal) / 2, 0], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], found[:, 0] / diagonal, rtol=1e-6)


def test_columns_count_valid_pixels_alone_for_tensors_too() -> None:
    rng = np.random.default_rng(0)
    said = {name: rng.random((2, 3, 5, 6)) for name in ("structure", "distances", "coarse")}
    logits, valid = rng.random((2, 3, 5, 6)), np.ones((2, 5, 6), bool)
    valid[:, 3:] = False
    whole = Pass(logits, logits, logits, valid, outputs=said)
    cut = Pass(*[logits[:, :, :3]] * 3, outputs={n: v[:, :, :3] for n, v in said.items()})
    tensors = Pass(
        *[torch.from_numpy(logits)] * 3,
        torch.from_numpy(valid),
        outputs={n: torch.from_numpy(v) for n, v in said.items()},
    )
    np.testing.assert_allclose(structure_inconsistency(whole), structure_inconsistency(cut))
    np.testing.assert_allclose(structure_inconsistency(whole), structure_inconsistency(tensors).numpy())
    np.testing.assert_allclose(boundary_inconsistency(whole), boundary_inconsistency(tensors).numpy())


def pool(structure: np.ndarray, boundary: np.ndarray) -> Candidates:
    n = len(structure)
    ones = np.ones(n, np.float32)
    return Candidates(
        [Region(f"r{i}") for i in range(n)],
        ones,
        np.arange(n, dtype=np.int32),
        np.zeros(n, np.int32),
        ones,
        columns={"structure_inconsistency": structure, "boundary_inconsistency": boundary},
    )


def asked(candidates: Candidates, **options: object) -> np.ndarray:
    return structure_boundary(candidates, np.random.default_rng(0), Labelled(), **options)


def test_the_largest_contradiction_comes_first() -> None:
    squares = [
        facts(foreground(LEFT, normalise=True), foreground(m, normalise=True)) for m in (LEFT, RIGHT, SMALL)
    ]
    candidates = pool(np.stack(squares)[:, None], np.array([[[0, 0]], [[1, 0.1]], [[2**0.5, 0.11]]]))
    assert np.argsort(asked(candidates)).tolist() == [0, 1, 2]
    printed = asked(candidates, structure=1.0, cosine="printed")
    assert np.argsort(printed).tolist() == [0, 2, 1]
    np.testing.assert_allclose(
        asked(candidates, structure=1.0, combine="raw"), [-0.44, -0.16, -0.079743], atol=1e-6
    )
    np.testing.assert_allclose(
        asked(candidates, structure=0.0, combine="diagonal"), [0, 0.1, 0.11], atol=1e-6
    )


def test_what_cannot_be_judged_comes_last_and_is_told() -> None:
    squares = np.stack([facts(foreground(LEFT, normalise=True), foreground(RIGHT, normalise=True))] * 3)[
        :, None
    ]
    squares[1, 0, 0, 0] = np.nan
    with pytest.warns(CuretteWarning, match="1 of 3 regions is not finite"):
        score = asked(pool(squares, np.zeros((3, 1, 2))))
    assert score[1] == -np.inf
    assert np.isfinite(score[[0, 2]]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"structure": 1.5}, "structure is 1.5"),
        ({"angle": -1.0}, "angle is -1"),
        ({"cosine": "true"}, "cosine"),
        ({"distances": "mm"}, "distances"),
        ({"combine": "max"}, "combine"),
        ({"dice": "hard"}, "dice"),
    ],
)
def test_impossible_options_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        asked(pool(np.zeros((1, 1, 2, 7)), np.zeros((1, 1, 2))), **options)
