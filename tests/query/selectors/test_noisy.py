"""Randomised selection against its worked numbers, its limits and its probabilities."""

import numpy as np
import pytest

from curette.errors import CuretteWarning, SettingError
from curette.query import selectors  # noqa: F401
from curette.query.candidates import Labelled
from curette.query.selectors import noisy
from curette.query.selectors.noisy import keys
from curette.registry import bind
from query.pools import pool_of

# Three passes over four regions with three classes, their mutual information, and standard Gumbel noise.
PASSES = np.array(
    [
        [[0.90, 0.05, 0.05], [0.88, 0.07, 0.05], [0.92, 0.04, 0.04]],
        [[0.40, 0.30, 0.30], [0.34, 0.33, 0.33], [0.30, 0.36, 0.34]],
        [[0.90, 0.05, 0.05], [0.05, 0.90, 0.05], [0.10, 0.10, 0.80]],
        [[0.50, 0.49, 0.01], [0.48, 0.51, 0.01], [0.52, 0.46, 0.02]],
    ]
)
INFORMATION = (PASSES * np.log(PASSES)).sum(2).mean(1) - (PASSES.mean(1) * np.log(PASSES.mean(1))).sum(1)
NOISE = [0.2, 1.5, -0.3, 2.0]
NAMES = ["power", "softmax", "softrank"]


class Noisy(np.random.Generator):
    """A generator whose Gumbel noise is given."""

    def __init__(self, noise) -> None:
        super().__init__(np.random.PCG64(0))
        self._noise = np.array(noise, float)

    def gumbel(self, *_, size: int, **__):
        drawn, self._noise = self._noise[:size], self._noise[size:]
        return drawn


def pick(name: str, score, budget: int, rng, **options) -> list[int]:
    return draw(name, score, budget, rng, 1, **options)[0].tolist()


def draw(name: str, score, budget: int, rng, times: int, **options) -> np.ndarray:
    """Picks [times, budget] of as many queries."""
    selector, pool = bind("selector", name, **options), pool_of(score)
    return np.stack([selector(pool, budget, rng, Labelled()) for _ in range(times)])


@pytest.mark.parametrize(
    ("name", "beta", "order"),
    [
        ("power", 1.0, [2, 1, 3, 0]),
        ("power", 8.0, [2, 1, 3, 0]),
        ("softmax", 1.0, [3, 1, 2, 0]),
        ("softrank", 1.0, [1, 3, 2, 0]),
    ],
)
def test_worked_orders(name: str, beta: float, order: list[int]) -> None:
    noise = [NOISE[i] for i in (2, 1, 0, 3)] if name == "softrank" else NOISE  # that one draws ranks
    for budget in range(1, 5):
        assert pick(name, INFORMATION, budget, Noisy(noise), beta=beta) == order[:budget]


@pytest.mark.parametrize(
    ("weight", "beta", "expected"),
    [
        (np.log(INFORMATION), 1, [-6.105465, -4.077289, -0.777834, -4.510724]),
        (np.log(INFORMATION), 8, [-6.280465, -5.389789, -0.515334, -6.260724]),
        (INFORMATION, 1, [0.201826, 1.503783, 0.320125, 2.001487]),
        (-np.log([3, 2, 1, 4]), 1, [-0.898612, 0.806853, -0.3, 0.613706]),
    ],
)
def test_worked_keys(weight, beta: float, expected: list[float]) -> None:
    np.testing.assert_allclose(keys(np.array(weight), beta, np.array(NOISE)), expected, atol=1e-5)


def test_keys_below_one_are_the_same_but_for_their_scale() -> None:
    weight, noise = np.array([-3.0, 0.5, 2.0]), np.array(NOISE[:3])
    np.testing.assert_allclose(keys(weight, 0.25, noise) / 0.25, weight + noise / 0.25)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("power", [0.002912, 0.006031, 0.988686, 0.002371]),
        ("softmax", [0.205872, 0.206275, 0.382051, 0.205802]),
        ("softrank", [0.16, 0.24, 0.48, 0.12]),
    ],
)
def test_first_picks_have_the_worked_probabilities(name: str, expected: list[float]) -> None:
    picks = draw(name, INFORMATION, 1, np.random.default_rng(5), 4000)
    np.testing.assert_allclose(np.bincount(picks.ravel(), minlength=4) / 4000, expected, atol=0.03)


@pytest.mark.parametrize("name", NAMES)
class TestLimits:
    def test_infinite_beta_is_top(self, name: str) -> None:
        score = np.random.default_rng(0).integers(-3, 3, 50).astype(np.float32)
        expected = pick("top", score, 20, np.random.default_rng(0))
        assert pick(name, score, 20, np.random.default_rng(0), beta=np.inf) == expected

    def test_a_huge_beta_is_top_too(self, name: str) -> None:
        score = np.random.default_rng(0).permutation(50) + 1
        expected = pick("top", score, 20, np.random.default_rng(0))
        assert pick(name, score, 20, np.random.default_rng(0), beta=1e300) == expected

    def test_zero_beta_is_chance(self, name: str) -> None:
        picks = draw(name, [0.0, 0.1, 5.0, 1000.0], 2, np.random.default_rng(2), 4000, beta=0.0)
        np.testing.assert_allclose(np.bincount(picks.ravel()) / 4000, 0.5, atol=0.035)

    def test_unwanted_regions_come_last_whatever_beta(self, name: str) -> None:
        for beta in (0.0, 1.0, np.inf):
            for seed in range(20):
                picks = pick(name, [-np.inf, 0.5, -np.inf, 0.1], 3, np.random.default_rng(seed), beta=beta)
                assert sorted(picks[:2]) == [1, 3]
                assert picks[2] in (0, 2)

    def test_the_pool_may_be_read_in_blocks(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        score = np.random.default_rng(1).random(1000)
        whole = pick(name, score, 40, np.random.default_rng(3))
        monkeypatch.setattr(noisy, "_BLOCK", 64)
        assert pick(name, score, 40, np.random.default_rng(3)) == whole

    @pytest.mark.parametrize("beta", [-1.0, np.nan])
    def test_impossible_beta(self, name: str, beta: float) -> None:
        with pytest.raises(SettingError, match="beta is"):
            pick(name, [1.0], 1, np.random.default_rng(0), beta=beta)


def first_picks(score, **options) -> np.ndarray:
    picks = draw("power", score, 1, np.random.default_rng(4), 2000, **options)
    return np.bincount(picks.ravel(), minlength=len(score)) / 2000


def test_power_counts_from_the_zero_it_is_told() -> None:
    margin = [-1.0, -0.75, -0.25]  # lead of the first class over the second: 1 is certain
    np.testing.assert_allclose(first_picks(margin, zero=-1.0), [0, 0.25, 0.75], atol=0.04)


def test_power_counts_from_the_lowest_where_scores_are_negative_by_nature() -> None:
    with pytest.warns(CuretteWarning, match=r"start at -0.9.*zero=-0.9"):
        found = first_picks([-0.9, -0.8, -0.6])
    np.testing.assert_allclose(found, [0, 0.25, 0.75], atol=0.03)


def test_power_takes_rounding_below_zero_for_zero() -> None:
    np.testing.assert_allclose(first_picks([0.2, -1e-9, 0.6]), [0.25, 0, 0.75], atol=0.03)
    assert pick("power", [0.2, -1e-9, 0.5], 3, Noisy([0, 0, 0])) == [2, 0, 1]


def test_power_decides_between_regions_at_zero_by_chance() -> None:
    picks = draw("power", [0.0, 0.0, 1.0], 2, np.random.default_rng(0), 200)
    assert (picks[:, 0] == 2).all()
    assert 60 < (picks[:, 1] == 0).sum() < 140


def test_softrank_decides_between_equal_scores_by_chance() -> None:
    picks = draw("softrank", [0.5] * 4, 1, np.random.default_rng(0), 2000)
    np.testing.assert_allclose(np.bincount(picks.ravel()) / 2000, 0.25, atol=0.04)


@pytest.mark.parametrize("name", NAMES)
def test_the_input_of_a_caller_is_not_divided_in_place(name: str) -> None:
    pool = pool_of([-0.5, 0.25, 4.0])
    bind("selector", name, beta=0.5, **({"zero": -1.0} if name == "power" else {}))(
        pool, 2, np.random.default_rng(0), Labelled()
    )
    assert list(pool.score) == [-0.5, 0.25, 4.0]
