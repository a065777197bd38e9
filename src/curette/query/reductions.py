"""From a map to one number: how the pixels of an image add up to its score.

The choice matters as much as the scorer. Of one image that is unsure of many pixels a little and another that is unsure of
few pixels a lot, ``mean`` wants the first, and ``max``, ``topq`` and ``fgw`` the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from array_api_compat import array_namespace, device

from curette.errors import SettingError, unknown
from curette.learn.columns import over_space
from curette.learn.prediction import Array, Prediction
from curette.learn.stacked import stacked

MARGINAL = "marginal"


class Settings(NamedTuple):
    """How to reduce: the name of the reduction, the share of ``topq``, and the cells along each axis of ``grid``."""

    reduce: str = "mean"
    q: float = 0.05
    g: int = 16

    def check(self) -> None:
        """Raise `SettingError` for an unknown reduction or a share or grid that cannot be."""
        if self.reduce not in _NAMES:
            raise unknown("reduction", self.reduce, _NAMES)
        if not 0 < self.q <= 1:
            raise SettingError(
                f"Granularity 'unit': q is {self.q:g}, but is a share of the pixels, above 0 and up to 1."
            )
        if self.g < 1:
            raise SettingError(
                f"Granularity 'unit': g is {self.g}, but a grid has 1 or more cells on each axis."
            )


def reduced(scores: Array, prediction: Prediction, settings: Settings) -> Array:
    """One number a region [B] from a map [B, *S], over valid pixels; -inf where there are none.

    A score that is one number a region already stays as it is.
    """
    xp = array_namespace(scores)
    inside = None if prediction.valid is None else xp.reshape(prediction.valid, (scores.shape[0], -1))
    if scores.ndim == 1:
        if inside is None or settings.reduce != MARGINAL:
            return scores
        return xp.where(xp.any(inside, axis=1), scores, xp.full_like(scores, -xp.inf))
    if settings.reduce == MARGINAL:
        raise SettingError(
            f"The reduction '{MARGINAL}' needs a score of probabilities that were averaged over space, and was given a map."
        )
    u = xp.reshape(scores, (scores.shape[0], -1))
    if inside is None:
        return _REDUCTIONS[settings.reduce](u, None, prediction, settings)
    score = _REDUCTIONS[settings.reduce](xp.where(inside, u, xp.zeros_like(u)), inside, prediction, settings)
    return xp.where(xp.any(inside, axis=1), score, xp.full_like(score, -xp.inf))


def sees(prediction: Prediction, *, reduce: str, **_: Any) -> Prediction:
    """What the scorer is shown: for ``marginal`` every pass averaged over valid pixels, as if a region were one pixel."""
    if reduce != MARGINAL or prediction.mean.ndim == 2:
        return prediction
    logits = None if prediction.logits is None else over_space(prediction.logits, prediction.valid)
    return replace(
        stacked(prediction.regions, prediction.columns["members"]),
        logits=logits,
        embedding=prediction.embedding,
        columns=prediction.columns,
    )


def also(*, reduce: str, **_: Any) -> Iterable[str]:
    """What a reduction needs of the prediction: ``marginal`` looks at each pass by itself."""
    return {"members"} if reduce == MARGINAL else ()


def _mean(u: Array, inside: Array | None, prediction: Prediction, settings: Settings) -> Array:
    return array_namespace(u).sum(u, axis=1) / _size(u, inside)


def _mean_all(u: Array, inside: Array | None, prediction: Prediction, settings: Settings) -> Array:
    return array_namespace(u).sum(u, axis=1) / u.shape[1]


def _sum(u: Array, inside: Array | None, prediction: Prediction, settings: Settings) -> Array:
    return array_namespace(u).sum(u, axis=1)


def _max(u: Array, inside: Array | None, prediction: Prediction, settings: Settings) -> Array:
    return array_namespace(u).max(_sunk(u, inside), axis=1)


def _topq(u: Array, inside: Array | None, prediction: Prediction, settings: Settings) -> Array:
    xp = array_namespace(u)
    falling = xp.sort(_sunk(u, inside), axis=1, descending=True)
    # The factor keeps 0.3 × 50, which float32 puts just above 15, from being rounded up to 16.
    count = xp.ceil(_size(u, inside) * (settings.q * (1 - 1e-6)))
    rank = xp.arange(u.shape[1], dtype=u.dtype, device=device(u))
    return xp.sum(xp.where(rank[None, :] < count[:, None], falling, xp.zeros_like(u)), axis=1) / count


def _fgw(u: Array, inside: Array | None, prediction: Prediction, settings: Settings) -> Array:
    xp = array_namespace(u)
    weight = 1 - xp.reshape(prediction.mean[:, 0, ...], u.shape)
    if inside is not None:
        weight = xp.where(inside, weight, xp.zeros_like(weight))
    return xp.sum(weight * u, axis=1) / (xp.sum(weight, axis=1) + 1e-8)


def _grid(u: Array, inside: Array | None, prediction: Prediction, settings: Settings) -> Array:
    """Mean over cells of the mean over each cell's valid pixels; cells without any do not count."""
    xp = array_namespace(u)
    shape = (u.shape[0], *prediction.mean.shape[2:])
    here = xp.ones_like(u) if inside is None else xp.astype(inside, u.dtype)
    total, count = (_cells(xp.reshape(part, shape), settings.g) for part in (u, here))
    found = total / xp.maximum(count, xp.ones_like(count))
    filled = xp.astype(xp.sum(xp.astype(count > 0, xp.int32), axis=1), u.dtype)
    return xp.sum(found, axis=1) / xp.maximum(filled, xp.ones_like(filled))


def _cells(u: Array, g: int) -> Array:
    """Sums over g cells along each axis of space, [B, *S] → [B, cells]. Neighbours share pixels where g does not divide."""
    xp = array_namespace(u)
    for axis in range(1, u.ndim):
        length = u.shape[axis]
        bounds = [(i * length // g, -(-(i + 1) * length // g)) for i in range(g)]
        member = [[float(a <= x < b) for a, b in bounds] for x in range(length)]
        weights = xp.asarray(member, dtype=u.dtype, device=device(u))
        u = xp.moveaxis(xp.matmul(xp.moveaxis(u, axis, -1), weights), -1, axis)
    return xp.reshape(u, (u.shape[0], -1))


def _size(u: Array, inside: Array | None) -> Array:
    """Number of valid pixels of each region [B], at least 1."""
    xp = array_namespace(u)
    if inside is None:
        return xp.full((u.shape[0],), u.shape[1], dtype=u.dtype, device=device(u))
    count = xp.astype(xp.sum(xp.astype(inside, xp.int32), axis=1), u.dtype)
    return xp.maximum(count, xp.ones_like(count))


def _sunk(u: Array, inside: Array | None) -> Array:
    """The map with -inf where it is not valid."""
    xp = array_namespace(u)
    return u if inside is None else xp.where(inside, u, xp.full_like(u, -xp.inf))


_Reduction = Callable[[Array, Array | None, Prediction, Settings], Array]
_REDUCTIONS: dict[str, _Reduction] = {
    "mean": _mean,
    "mean_all": _mean_all,
    "sum": _sum,
    "max": _max,
    "topq": _topq,
    "fgw": _fgw,
    "grid": _grid,
}
_NAMES = (*_REDUCTIONS, MARGINAL)
