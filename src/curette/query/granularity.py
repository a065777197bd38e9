"""What can be picked: here whole units, an image or a slice, each with one score reduced from its map.

The reduction matters as much as the scorer. The mean is what the literature uses by default, but background dilutes
it; `max` follows single pixels; `topq` is a robust maximum; `fgw` weighs each pixel by how little it looks like
background.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from array_api_compat import array_namespace, device

from curette.errors import SettingError, unknown
from curette.learn.prediction import Array, Prediction
from curette.query.arrays import to_numpy
from curette.query.candidates import Candidates
from curette.region import Region
from curette.registry import register


@register("granularity", "image", unit="image")
@register("granularity", "slice", unit="slice")
@register("granularity", "unit")
def unit(
    scores: Array, prediction: Prediction, taken: frozenset[Region], *, reduce: str = "mean", q: float = 0.05
) -> Candidates:
    """Whole units of the study, its images or slices, scored by their map over valid pixels.

    `reduce` is ``mean``, ``sum``, ``max``, ``topq`` (mean of the highest share `q` of the pixels) or ``fgw`` (mean
    weighted by one minus the background probability). A score that is one number a region already stays as it is.
    A region without a valid pixel scores -inf. Raises `SettingError` for an unknown reduction or a `q` outside (0, 1].
    """
    if reduce not in _REDUCTIONS:
        raise unknown("reduction", reduce, _REDUCTIONS)
    if not 0 < q <= 1:
        raise SettingError(
            f"Granularity 'unit': q is {q:g}, but is a share of the pixels, above 0 and up to 1."
        )
    if scores.ndim > 1:
        scores = _reduced(scores, prediction, reduce, q)
    regions = list(prediction.regions)
    n = len(regions)
    candidates = Candidates(
        regions=regions,
        score=to_numpy(scores).astype(np.float32),
        patient=np.zeros(n, np.int32),
        predicted=to_numpy(predicted_class(prediction)).astype(np.int32),
        cost=np.ones(n, np.float32),
        embedding=None if prediction.embedding is None else to_numpy(prediction.embedding).astype(np.float32),
        columns={name: to_numpy(column) for name, column in prediction.columns.items()},
    )
    if taken.isdisjoint(regions):
        return candidates
    return candidates.take(np.flatnonzero([region not in taken for region in regions]))


def predicted_class(prediction: Prediction) -> Array:
    """The class of each region [B]: the most frequent foreground class among valid pixels, 0 if there is none.

    In classification simply the most likely class. The lower index wins ties.
    """
    p = prediction.mean
    xp = array_namespace(p)
    if p.ndim == 2:
        return xp.argmax(p, axis=1)
    # Not by arg max: over the class axis torch's is tens of times slower than these comparisons.
    top = xp.max(p, axis=1)
    undecided = top != p[:, 0, ...]
    if prediction.valid is not None:
        undecided = undecided & prediction.valid
    counts = [xp.zeros(p.shape[0], dtype=xp.int64, device=device(p))]
    for c in range(1, p.shape[1]):
        here = undecided & (p[:, c, ...] == top)
        undecided = undecided & ~here
        counts.append(xp.sum(xp.reshape(xp.astype(here, xp.int64), (p.shape[0], -1)), axis=1))
    return xp.argmax(xp.stack(counts, axis=1), axis=1)


def _reduced(scores: Array, prediction: Prediction, reduce: str, q: float) -> Array:
    """One score a region from a map [B, *S], over valid pixels; -inf where there are none."""
    xp = array_namespace(scores)
    u = xp.reshape(scores, (scores.shape[0], -1))
    if prediction.valid is None:
        return _REDUCTIONS[reduce](u, None, prediction, q)
    inside = xp.reshape(prediction.valid, u.shape)
    score = _REDUCTIONS[reduce](xp.where(inside, u, xp.zeros_like(u)), inside, prediction, q)
    return xp.where(xp.any(inside, axis=1), score, xp.full_like(score, -xp.inf))


def _mean(u: Array, inside: Array | None, prediction: Prediction, q: float) -> Array:
    return _sum(u, inside, prediction, q) / _size(u, inside)


def _sum(u: Array, inside: Array | None, prediction: Prediction, q: float) -> Array:
    return array_namespace(u).sum(u, axis=1)


def _max(u: Array, inside: Array | None, prediction: Prediction, q: float) -> Array:
    return array_namespace(u).max(_sunk(u, inside), axis=1)


def _topq(u: Array, inside: Array | None, prediction: Prediction, q: float) -> Array:
    xp = array_namespace(u)
    falling = xp.sort(_sunk(u, inside), axis=1, descending=True)
    # The factor keeps 0.3 × 50, which float32 puts just above 15, from being rounded up to 16.
    count = xp.ceil(_size(u, inside) * (q * (1 - 1e-6)))
    rank = xp.arange(u.shape[1], dtype=u.dtype, device=device(u))
    return xp.sum(xp.where(rank[None, :] < count[:, None], falling, xp.zeros_like(u)), axis=1) / count


def _fgw(u: Array, inside: Array | None, prediction: Prediction, q: float) -> Array:
    xp = array_namespace(u)
    weight = 1 - xp.reshape(prediction.mean[:, 0, ...], u.shape)
    if inside is not None:
        weight = xp.where(inside, weight, xp.zeros_like(weight))
    return xp.sum(weight * u, axis=1) / (xp.sum(weight, axis=1) + 1e-8)


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


_Reduction = Callable[[Array, Array | None, Prediction, float], Array]
_REDUCTIONS: dict[str, _Reduction] = {"mean": _mean, "sum": _sum, "max": _max, "topq": _topq, "fgw": _fgw}
