"""BEMPS: how much the answer for one region is expected to change what is predicted for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.members import blocks, members_of, proper
from curette.registry import register

_LEAST = 1e-8  # probabilities are clipped to this before their logarithm is taken
_FEWEST = 100  # regions on which the change is measured, if the pool has as many

_CACHED = 1 << 18  # numbers worked on at a time: they stay in the cache

Change = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Beliefs in each of T members after each of C answers [n, C, T], chances of the answers [n, C] → change [n, X]."""

Rule = Callable[[NDArray[np.float64]], Change]
"""The regions on which change is measured [X, T, C] → how to measure it."""


@register(
    "scorer",
    "core_mse",
    pool=True,
    needs={"members"},
    min_passes=2,
    examples=("core_mse(share=0.5)",),
    paper="Tan, Du & Buntine 2021, Diversity enhanced active learning with strictly proper scoring rules",
)
def core_mse(
    candidates: Candidates,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    share: float = 0.0939,
    most: int = 1000,
) -> NDArray[np.float32]:
    """Expected gain in squared error (Brier score) over the pool from labelling a region, up to factor and constant.

    After the answer y for x, member e is believed in proportion to P[x, e, y]. The score is Σ_y p(y | x) times the mean
    squared change this makes to the predictions of other regions. These are a random `share` of the pool, 100 at least
    and `most` at most. Time O(N · most · C² · T).

    The members must be the same networks for every region, as in ``ensemble(5)`` or ``consistent_dropout(20)``. Where
    images are segmented, a region is one variable: the class of a pixel drawn at random from it.

    Choices: the release sums squared errors of all T members, which is T times this score plus a constant that is the
    same for every region (fixture: 0.324050). With T = 2, as in its script, beliefs are almost all or nothing; take 5.
    The release measures on 9.39 % of the pool, however large or small.

    Raises `SettingError` for a share outside (0, 1] or `most` below 1.
    """
    return _scored(candidates, rng, squared, share, most, "core_mse")


@register(
    "scorer",
    "core_log",
    pool=True,
    needs={"members"},
    min_passes=2,
    examples=("core_log(share=0.5)", "core_log(forward=true)"),
    paper="Tan, Du & Buntine 2021, Diversity enhanced active learning with strictly proper scoring rules",
)
def core_log(
    candidates: Candidates,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    forward: bool = False,
    share: float = 0.0939,
    most: int = 1000,
) -> NDArray[np.float32]:
    """Expected gain in log score over the pool from labelling a region, up to factor and constant.

    Like the scorer `core_mse`, with the change of a prediction measured by a Kullback-Leibler divergence.

    Choices: the theory of the paper leads to KL(new ‖ old), ``forward=true``. Its release computes KL(old ‖ new) summed
    over the members, which is T times the default here plus a constant. Probabilities are clipped to 1e-8.

    Raises `SettingError` for a share outside (0, 1] or `most` below 1.
    """
    return _scored(candidates, rng, partial(divergence, forward=forward), share, most, "core_log")


def squared(others: NDArray[np.float64]) -> Change:
    """Expected squared change of `others` [X, T, C], which is also the expected gain in their squared length.

    With deviations D = P - mean P of a region's members, the new prediction is off by wᵀD, and the expectation of
    wᵀ(D Dᵀ)w over answers is one product of [n, T²] and [T², X] matrices.
    """
    apart = others - others.mean(axis=1, keepdims=True)
    inner = (apart @ np.moveaxis(apart, 1, 2)).reshape(len(others), -1).T

    def change(belief: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
        outer = np.moveaxis(belief * chance[:, :, None], 1, 2) @ belief
        return np.asarray(np.maximum(outer.reshape(len(belief), -1) @ inner, 0))

    return change


def divergence(others: NDArray[np.float64], *, forward: bool) -> Change:
    """Expected KL(old ‖ new) of the predictions of `others` [X, T, C], or with `forward` KL(new ‖ old)."""
    x, t, c = others.shape
    flat = np.transpose(others, (1, 2, 0)).reshape(t, c * x)
    old = np.maximum(flat.mean(axis=0), _LEAST)

    def change(belief: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
        new = belief.reshape(-1, t) @ flat
        np.maximum(new, _LEAST, out=new)
        ratio = np.log(new)
        ratio -= np.log(old)
        ratio *= new if forward else -old
        weight = np.repeat(chance, c, axis=1)[:, None]
        return np.asarray((weight @ ratio.reshape(len(belief), -1, x))[:, 0])

    return change


def changes(
    members: NDArray[np.float32], others: NDArray[np.float64], rule: Rule
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Expected change [·, X] of `others` [X, T, C] by the answer for each region [N, T, C], some rows at a time.

    The posterior of all members, candidates, answers and others at once is never built.
    """
    x, t, c = others.shape
    change = rule(others)
    for rows in blocks(len(members), c * c * x, _CACHED):
        p = np.moveaxis(proper(members[rows]), 1, 2)  # [n, C, T]
        total = p.sum(axis=2, keepdims=True)
        belief = np.where(total > 0, p / np.where(total > 0, total, 1), 1 / t)
        yield rows, change(belief, p.mean(axis=2))


def sample(
    members: NDArray[np.float32], good: NDArray[np.bool_], rng: np.random.Generator, share: float, most: int
) -> NDArray[np.float64]:
    """The regions [X, T, C] on which changes are measured."""
    free = np.flatnonzero(good)
    size = min(len(free), most, max(_FEWEST, round(share * len(free))))
    return proper(members[np.sort(rng.choice(free, size, replace=False))])


def check(where: str, share: float, most: int) -> None:
    """Raise `SettingError` that begins with `where` for options out of range."""
    if not 0 < share <= 1:
        raise SettingError(f"{where}: share is {share:g}, but is a share of the pool, above 0 and up to 1.")
    if most < 1:
        raise SettingError(f"{where}: most is {most}, but must be 1 or more.")


def _scored(
    candidates: Candidates, rng: np.random.Generator, rule: Rule, share: float, most: int, name: str
) -> NDArray[np.float32]:
    check(f"Scorer '{name}'", share, most)
    members, good = members_of(candidates)
    score = np.full(len(members), -np.inf, np.float32)
    if not good.any():
        return score
    found = np.empty(int(good.sum()), np.float32)
    others = sample(members, good, rng, share, most)
    for rows, change in changes(members if good.all() else members[good], others, rule):
        found[rows] = change.mean(axis=1)
    score[good] = found
    return score
