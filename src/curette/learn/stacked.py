"""Predictions from probabilities of all passes at once, where these are few numbers: whole regions, or a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from array_api_compat import array_namespace

from curette.learn.prediction import Array, Prediction
from curette.region import Region


def stacked(regions: Sequence[Region], passes: Array, **fields: Any) -> Prediction:
    """The prediction of passes [B, T, C, *S], with every field but those of the network's inside filled in.

    Takes other fields of `Prediction` by name. All pixels count as seen.
    """
    xp = array_namespace(passes)
    mean = xp.mean(passes, axis=1)
    logs = xp.log(xp.clip(passes, 1e-30, 1.0))
    classes, count = passes.shape[2], passes.shape[1]
    best = xp.argmax(passes, axis=2)
    votes = xp.stack([xp.astype(best == c, passes.dtype) for c in range(classes)], axis=2)
    flat = xp.reshape(passes, (*passes.shape[:3], -1))
    found = {
        "member_entropy": -xp.mean(xp.sum(passes * logs, axis=2), axis=1),
        "second_moment": xp.mean(passes**2, axis=1),
        "votes": xp.mean(votes, axis=1),
        "deviation": xp.mean(xp.abs(passes - mean[:, None, ...]), axis=1),
        "soft_dice": xp.mean(_dice(flat, xp.reshape(mean, (mean.shape[0], 1, classes, -1))), axis=1),
        "pair_dice": _pairs(xp.reshape(votes, flat.shape)),
    }
    return Prediction(regions=regions, mean=mean, passes=count, **(found | fields))


def _pairs(masks: Array) -> Array:
    """Dice [B, C] averaged over pairs of masks [B, T, C, pixels]; 1 if there is one mask only."""
    xp = array_namespace(masks)
    found = [_dice(masks[:, i, ...], masks[:, j, ...]) for i, j in combinations(range(masks.shape[1]), 2)]
    if not found:
        return xp.ones_like(masks[:, 0, :, 0])
    return xp.mean(xp.stack(found), axis=0)


def _dice(p: Array, q: Array) -> Array:
    """Soft Dice over the last axis; 1 where both are empty."""
    xp = array_namespace(p)
    both, size = xp.sum(p * q, axis=-1), xp.sum(p + q, axis=-1)
    return xp.where(size > 0, 2 * both / xp.where(size > 0, size, xp.ones_like(size)), xp.ones_like(size))
