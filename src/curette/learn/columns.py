"""Facts of each region that outlive a sweep: small rows that some selectors and pool scorers look at.

A component of kind ``column`` is a pure function ``(seen: Pass) -> [B, …]`` on the arrays of one forward pass, of any
library. Whoever needs it names it among its ``needs``, and finds it as ``columns[name]`` of candidates and labelled set.
``info`` says how passes are put together: ``combine="mean"`` (the default), ``"stack"`` (a new axis 1, one entry a pass)
or ``"first"`` (only the first pass is looked at); ``head=True`` if it looks into the layer that makes the logits; and
``outputs``, the names of the outputs of companions (`curette.learn.companions`) that it looks at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from array_api_compat import array_namespace, device

from curette.errors import unknown
from curette.learn.prediction import NEEDS, Array
from curette.registry import Component, components, register

THUMBNAIL = {2: 32, 3: 16}
"""Longest side of a thumbnail by number of spatial dimensions."""

LIKELY = 0.05
"""Probability from which a foreground class counts where background is predicted."""

SAMPLES = 64
"""Pixels of a region that the column `samples` looks at."""


@dataclass(frozen=True)
class Pass:
    """What one forward pass shows of B regions.

    images         [B, channels, *S]
    probabilities  [B, C, *S], or [B, C] in classification, on the grid of the images
    logits         likewise
    valid          [B, *S] bool, or None: all valid
    features       [B, d, *s] what the head was given, with `scores` [B, C, *s] what it made of it; *s is *S for most
                   networks. None unless a column with ``head=True`` asked for them
    outputs        what companions say, [B, …] by name; empty unless a column asked for it
    """

    images: Array
    probabilities: Array
    logits: Array
    valid: Array | None = None
    features: Array | None = None
    scores: Array | None = None
    outputs: dict[str, Array] = field(default_factory=dict)


def outputs(needs: Iterable[str]) -> frozenset[str]:
    """Names of the outputs of companions that the columns among `needs` look at."""
    known = components("column")
    return frozenset(name for n in needs if n in known for name in known[n].info.get("outputs", ()))


def wanted(needs: Iterable[str]) -> dict[str, Component]:
    """The columns among `needs`. Raises `SettingError` for a name that is neither a field nor a column."""
    known = components("column")
    names = sorted(set(needs) - NEEDS)
    for name in names:
        if name not in known:
            raise unknown("column", name, {*known, *NEEDS})
    return {name: known[name] for name in names}


def combined(column: Component, passes: Sequence[Pass]) -> Array:
    """A column over all passes at once, where they fit into memory."""
    xp = array_namespace(passes[0].probabilities)
    how = column.info.get("combine", "mean")
    if how == "first":
        return column.function(passes[0])
    stacked = xp.stack([column.function(seen) for seen in passes], axis=1)
    return stacked if how == "stack" else xp.mean(stacked, axis=1)


@register("column", "probabilities")
def probabilities(seen: Pass) -> Array:
    """Share of each class in the region: probabilities averaged over valid pixels, [B, C]."""
    return over_space(seen.probabilities, seen.valid)


@register("column", "members", combine="stack")
def members(seen: Pass) -> Array:
    """`probabilities` of every pass by itself, [B, T, C]: what the members of a committee say of the region."""
    return over_space(seen.probabilities, seen.valid)


@register("column", "presence", combine="stack")
def presence(seen: Pass) -> Array:
    """How likely each pass finds no foreground in the region, and any, [B, T, 2].

    Pixels of a region are far from independent: the chance of any foreground is that of the most likely valid pixel.
    """
    xp = array_namespace(seen.probabilities)
    background = xp.reshape(seen.probabilities[:, 0, ...], (seen.probabilities.shape[0], -1))
    if seen.valid is not None and seen.probabilities.ndim > 2:
        background = xp.where(xp.reshape(seen.valid, background.shape), background, xp.ones_like(background))
    none = xp.min(background, axis=1)
    return xp.stack([none, 1 - none], axis=1)


@register("column", "thumbnail", combine="first")
def thumbnail(seen: Pass) -> Array:
    """The image itself, averaged down to at most 32 pixels a side (16 in 3D), [B, channels, *small]."""
    xp = array_namespace(seen.images)
    small = seen.images
    for axis in range(2, small.ndim):
        length = small.shape[axis]
        side = min(length, THUMBNAIL.get(small.ndim - 2, 32))
        if side < length:
            weights = xp.asarray(_averaging(length, side), dtype=small.dtype, device=device(small))
            small = xp.moveaxis(xp.matmul(xp.moveaxis(small, axis, -1), weights), -1, axis)
    return small


_BADGE = "Ash et al. 2020 (BADGE); dense form: nnActive 2025"


@register("column", "gradient", head=True, paper=_BADGE)
def gradient(seen: Pass) -> Array:
    """Gradient of the mean cross-entropy by the weights of the head, the arg max taken for true, [B, C·d].

    The sum over pixels of (probabilities - one-hot arg max) ⊗ features, over the number of valid pixels.
    """
    return _gradient(seen)


@register("column", "gradient_foreground", head=True, paper=_BADGE)
def gradient_foreground(seen: Pass) -> Array:
    """`gradient` of the mean over those pixels alone where a foreground class is predicted, or has a probability of 5 %.

    Zeros where there are none.
    """
    return _gradient(seen, foreground=True)


@register("column", "gradient_absolute", head=True, paper=_BADGE)
def gradient_absolute(seen: Pass) -> Array:
    """`gradient` with |probabilities - one-hot arg max| in place of the difference, so that pixels do not cancel."""
    return _gradient(seen, absolute=True)


@register("column", "gradient_foreground_absolute", head=True, paper=_BADGE)
def gradient_foreground_absolute(seen: Pass) -> Array:
    """`gradient_absolute` over the pixels of `gradient_foreground`."""
    return _gradient(seen, foreground=True, absolute=True)


def _gradient(seen: Pass, *, foreground: bool = False, absolute: bool = False) -> Array:
    assert seen.features is not None
    assert seen.scores is not None
    xp = array_namespace(seen.scores)
    batch, classes = seen.scores.shape[:2]
    scores = xp.reshape(seen.scores, (batch, classes, -1))
    features = xp.reshape(seen.features, (batch, seen.features.shape[1], -1))
    top = xp.max(scores, axis=1, keepdims=True)
    raised = xp.exp(scores - top)
    p = raised / xp.sum(raised, axis=1, keepdims=True)
    best = xp.argmax(scores, axis=1)
    steps = xp.arange(classes, device=device(scores))
    delta = p - xp.astype(best[:, None, :] == steps[None, :, None], p.dtype)
    if absolute:
        delta = xp.abs(delta)
    count = xp.full((batch,), scores.shape[2], dtype=p.dtype, device=device(p))
    inside = _inside(seen, p, best, foreground=foreground)
    if inside is not None:
        inside = xp.astype(inside, p.dtype)
        delta = delta * inside[:, None, :]
        count = xp.maximum(xp.sum(inside, axis=1), xp.ones_like(count))
    found = xp.matmul(delta, xp.moveaxis(features, 1, 2)) / count[:, None, None]
    return xp.reshape(found, (batch, -1))


def _inside(seen: Pass, p: Array, best: Array, *, foreground: bool) -> Array | None:
    """Which pixels count, bool [B, V], from probabilities p [B, C, V] and their arg max [B, V]; None: all."""
    xp = array_namespace(p)
    inside = None
    space = () if seen.scores is None else tuple(seen.scores.shape[2:])
    if seen.valid is not None and tuple(seen.valid.shape[1:]) == space:
        inside = xp.reshape(seen.valid, (p.shape[0], -1))
    if foreground:
        likely = (best != 0) | (xp.max(p[:, 1:, :], axis=1) >= LIKELY)
        inside = likely if inside is None else inside & likely
    return inside


@register("column", "samples", head=True, combine="first")
def samples(seen: Pass) -> Array:
    """What the head was given and made of it at up to 64 pixels of each region, [B, R, 1 + d + C].

    A row is the pixel's position in the flattened grid of the image (-1 where the head has another grid), d features and
    C scores. Every predicted class gets an equal share of the rows as far as it has pixels, spread evenly over them.
    Rows of NaN fill up regions with fewer valid pixels. In classification there is one row, at position 0.
    """
    assert seen.features is not None
    assert seen.scores is not None
    xp, here = array_namespace(seen.scores), device(seen.scores)
    batch, classes, *space = seen.scores.shape
    if not space:
        first = xp.zeros((batch, 1), dtype=seen.scores.dtype, device=here)
        return xp.concat([first, seen.features, seen.scores], axis=1)[:, None, :]
    scores = xp.moveaxis(xp.reshape(seen.scores, (batch, classes, -1)), 1, 2)
    features = xp.moveaxis(xp.reshape(seen.features, (batch, seen.features.shape[1], -1)), 1, 2)
    grid = tuple(space) == tuple(seen.probabilities.shape[2:])
    inside = xp.ones(scores.shape[:2], dtype=xp.bool, device=here)
    if seen.valid is not None and grid:
        inside = xp.reshape(seen.valid, scores.shape[:2])
    chosen = _spread(scores, inside, min(SAMPLES, scores.shape[1]))
    region, pixel = xp.nonzero(chosen)
    slot = (xp.cumulative_sum(xp.astype(chosen, xp.int32), axis=1) - 1)[region, pixel]
    position = xp.astype(pixel, scores.dtype)[:, None]
    rows = xp.concat(
        [position if grid else xp.full_like(position, -1.0), features[region, pixel], scores[region, pixel]],
        axis=1,
    )
    shape = (batch, min(SAMPLES, scores.shape[1]), rows.shape[1])
    found = xp.full(shape, xp.nan, dtype=rows.dtype, device=here)
    found[region, slot] = rows
    return found


def _spread(scores: Array, inside: Array, count: int) -> Array:
    """Which of the pixels of each region are looked at, bool [B, V], from scores [B, V, C]: at most `count`."""
    xp, here = array_namespace(scores), device(scores)
    top, free, of = xp.max(scores, axis=2), inside, []
    for c in range(scores.shape[2]):
        of.append(free & (scores[:, :, c] == top))
        free = free & ~of[-1]
    size = xp.stack([xp.sum(xp.astype(mask, xp.int64), axis=1) for mask in of], axis=1)
    # The highest level at which all classes together stay within the count, and one more for the first that have it.
    levels = xp.arange(1, count + 1, dtype=xp.int64, device=here)
    used = xp.sum(xp.minimum(size[:, :, None], levels[None, None, :]), axis=1)
    level = xp.sum(xp.astype(used <= count, xp.int64), axis=1)[:, None]
    share = xp.minimum(size, level)
    more = xp.astype(size > level, xp.int64)
    spare = count - xp.sum(share, axis=1)[:, None]
    share = share + xp.where(xp.cumulative_sum(more, axis=1) <= spare, more, xp.zeros_like(more))
    chosen = xp.zeros_like(inside)
    for c, mask in enumerate(of):
        number = xp.cumulative_sum(xp.astype(mask, xp.int64), axis=1)
        wanted, there = share[:, c, None], xp.maximum(size[:, c, None], xp.ones_like(size[:, c, None]))
        chosen = chosen | (mask & ((number * wanted) // there > ((number - 1) * wanted) // there))
    return chosen


def over_space(p: Array, valid: Array | None) -> Array:
    """Mean over valid pixels, [B, C, *S] → [B, C]; over all pixels where none is valid."""
    if p.ndim == 2:
        return p
    xp = array_namespace(p)
    flat = xp.reshape(p, (*p.shape[:2], -1))
    if valid is None:
        return xp.mean(flat, axis=2)
    inside = xp.astype(xp.reshape(valid, (p.shape[0], 1, -1)), p.dtype)
    count = xp.sum(inside, axis=2)
    found = xp.sum(flat * inside, axis=2) / xp.where(count > 0, count, xp.ones_like(count))
    return xp.where(count > 0, found, xp.mean(flat, axis=2))


def _averaging(length: int, side: int) -> list[list[float]]:
    """Weights [length, side] that average a line down to `side` bins of equal width, shared pixels split."""
    width = length / side
    rows = []
    for i in range(length):
        overlap = [max(0.0, min(i + 1, (j + 1) * width) - max(i, j * width)) for j in range(side)]
        rows.append([part / width for part in overlap])
    return rows
