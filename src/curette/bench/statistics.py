"""What a comparison of strategies over seeds may claim: intervals, paired tests, areas under curves.

All tests are paired by seed: two strategies with the same seed start from the same labels and the same first model, so
most of the noise cancels. Cycles of one run are not independent; compare one number a run (such as its area) instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from curette.errors import DataError, SettingError
from curette.seeds import spawn

Alternative = Literal["two-sided", "greater"]
Scale = Literal["index", "x", "log"]
EXACT_UP_TO = 16
"""Largest number of pairs whose 2^n sign flips are all counted."""
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Interval:
    """A mean over n runs with its 95 % t-interval; `low` and `high` are None for a single run."""

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Difference:
    """A strategy minus its reference, paired by seed.

    p          exact (up to 16 pairs) two-sided sign-flip permutation test of no difference
    p_better   the same, one-sided: the strategy is better, i.e. the difference is above 0
    smallest   the smallest two-sided p that so many pairs can reach
    wilcoxon   two-sided Wilcoxon signed-rank test
    """

    interval: Interval
    p: float
    p_better: float
    smallest: float
    wilcoxon: float

    @property
    def note(self) -> str | None:
        """Why no p below .05 can be expected, or None."""
        return power_note(self.interval.n)


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean and t-interval of independent runs. Raises `DataError` for no or non-finite values."""
    runs = _finite(values)
    mean, n = float(runs.mean()), len(runs)
    if n == 1:
        return Interval(mean, None, None, 1)
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * runs.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def paired(a: Mapping[Any, float], b: Mapping[Any, float]) -> NDArray[np.float64]:
    """Differences a - b in the order of their keys (seeds). Raises `SettingError` naming seeds that only one has."""
    for have, lack, which in ((a, b, "second"), (b, a, "first")):
        missing = sorted(str(key) for key in have.keys() - lack.keys())
        if missing:
            raise SettingError(
                f"The {which} of the two strategies has no run with seed {', '.join(missing)}. "
                "Strategies are compared seed by seed: run the missing ones, or leave them out of both."
            )
    if not a:
        raise SettingError("There is no seed to compare two strategies by. Run both with the same seeds.")
    return _finite([a[key] - b[key] for key in sorted(a)])


def compare(strategy: Mapping[Any, float], reference: Mapping[Any, float]) -> Difference:
    """Compare one number a run of two strategies, each given by seed, higher being better."""
    z = paired(strategy, reference)
    return Difference(
        interval=t_interval(z),
        p=sign_flip(z),
        p_better=sign_flip(z, "greater"),
        smallest=smallest_p(len(z)),
        wilcoxon=wilcoxon(z),
    )


def sign_flip(
    differences: ArrayLike,
    alternative: Alternative = "two-sided",
    *,
    flips: int = 100_000,
    rng: np.random.Generator | None = None,
) -> float:
    """Permutation p of paired differences: how often random signs give a mean as far from 0 (or as high).

    All 2^n signs are counted up to `EXACT_UP_TO` differences; beyond, `flips` random ones and the observed one are,
    drawn from `rng` (a fixed seed without one). Exchangeable signs are all it assumes (Fisher, 1935).
    """
    z = _finite(differences)
    if len(z) <= EXACT_UP_TO:
        sums = np.zeros(1)
        for d in z:
            sums = np.concatenate((sums + d, sums - d))
        return float(np.mean(_extreme(sums, z, alternative)))
    rng = rng if rng is not None else spawn(0, 0, "sign flips")
    hits, block = 0, 10_000
    for start in range(0, flips, block):
        signs = rng.choice((-1.0, 1.0), size=(min(block, flips - start), len(z)))
        hits += int(_extreme(signs @ z, z, alternative).sum())
    return (1 + hits) / (1 + flips)


def _extreme(
    sums: NDArray[np.float64], z: NDArray[np.float64], alternative: Alternative
) -> NDArray[np.bool_]:
    # sums come in any order of addition, so equal ones may differ in the last digits
    slack = _TOLERANCE * max(float(np.abs(z).sum()), np.finfo(float).tiny)
    if alternative == "greater":
        return np.asarray(sums >= z.sum() - slack)
    return np.asarray(np.abs(sums) >= abs(z.sum()) - slack)


def smallest_p(n: int, alternative: Alternative = "two-sided") -> float:
    """The smallest p that an exact sign-flip test of n pairs can reach: 2 / 2^n, one-sided 1 / 2^n."""
    return min(1.0, (2.0 if alternative == "two-sided" else 1.0) / 2.0**n)


def power_note(n: int, alpha: float = 0.05) -> str | None:
    """One sentence if n seeds cannot reach p < `alpha` whatever the data, else None."""
    if smallest_p(n) < alpha:
        return None
    enough = next(m for m in range(n, 64) if smallest_p(m) < alpha)
    seeds = "1 seed" if n == 1 else f"{n} seeds"
    return (
        f"{seeds} cannot reach p < {_short(alpha)} "
        f"(smallest two-sided p is {_short(smallest_p(n))}); {enough} seeds can."
    )


def wilcoxon(differences: ArrayLike) -> float:
    """Two-sided p of the Wilcoxon signed-rank test (1945); 1 when all differences are 0."""
    z = _finite(differences)
    return float(stats.wilcoxon(z).pvalue) if np.any(z) else 1.0


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's (1979) adjustment of a family of p values. NaN are no members of the family and stay NaN."""
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def aubc(y: ArrayLike, x: ArrayLike | None = None, scale: Scale = "x") -> NDArray[np.float64]:
    """Area under budget curves y [..., budgets], divided by the range of budgets: a constant curve c has area c.

    `x` holds the budgets, strictly increasing; without it, or with the scale ``index``, they count as equally spaced,
    and ``log`` takes their logarithm. A single budget is its own area. Returns float64 [...].
    """
    values = np.asarray(y, dtype=float)
    n = values.shape[-1]
    budgets = np.arange(n, dtype=float) if x is None or scale == "index" else np.asarray(x, dtype=float)
    if budgets.shape != (n,) or np.any(np.diff(budgets) <= 0) or (scale == "log" and np.any(budgets <= 0)):
        raise SettingError(
            f"{n} values need as many growing budgets (above 0 for a logarithm), not {budgets}."
        )
    _finite(values)
    if n == 1:
        return values[..., 0]
    if scale == "log" and x is not None:
        budgets = np.log(budgets)
    steps = np.diff(budgets)
    return np.asarray(((values[..., 1:] + values[..., :-1]) / 2) @ (steps / steps.sum()))


def label_saving(
    x: Sequence[float], y: Sequence[float], y_reference: Sequence[float], target: float
) -> float | None:
    """Share of labels saved when reaching `target`: 1 - x(target) / x_reference(target).

    Both curves are means over seeds at the budgets x and are interpolated linearly. None when either never gets there.
    """
    reached, reference = _reach(x, y, target), _reach(x, y_reference, target)
    return None if reached is None or reference is None else 1 - reached / reference


def _reach(x: Sequence[float], y: Sequence[float], target: float) -> float | None:
    values = np.asarray(y, dtype=float)
    above = np.flatnonzero(values >= target)
    if not len(above):
        return None
    i = int(above[0])
    if i == 0:
        return float(x[0])
    share = (target - values[i - 1]) / (values[i] - values[i - 1])
    return float(x[i - 1] + share * (x[i] - x[i - 1]))


def deficiency(y: ArrayLike, y_reference: ArrayLike, full: float | None = None) -> float | None:
    """Lost performance relative to the reference's (Baram et al., 2004): below 1 is better than it.

    Sums of ``full - y`` over budgets; `full` is the performance on all data, or else the reference's last. None when
    the reference loses nothing.
    """
    reference = _finite(y_reference)
    best = float(reference[-1]) if full is None else full
    lost = float((best - reference).sum())
    return float((best - _finite(y)).sum()) / lost if lost > 0 else None


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    if array.size == 0 or not np.isfinite(array).all():
        raise DataError(
            f"Statistics need finite values, not {array.tolist()}. Is a run's measurement missing?"
        )
    return array


def _short(p: float) -> str:
    return f"{p:.4g}".removeprefix("0")
