"""SBC-AL: how far a network's distance maps, its own and its refined segmentation contradict each other."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from curette.errors import CuretteWarning, SettingError, unknown
from curette.learn.companions.consistency import (
    LARGEST,
    PRODUCT,
    REGRESSED_LARGEST,
    REGRESSED_SQUARE,
    REGRESSED_SUM,
    SQUARE,
    SUM,
)
from curette.query.candidates import Candidates, Labelled
from curette.registry import register

_COSINES = ("scale_free", "printed")
_DICES = ("printed", "squared")
_UNITS = ("normalised", "rescaled", "raw")
_COMBINATIONS = ("minmax", "raw", "diagonal")


@register(
    "scorer",
    "structure_boundary",
    pool=True,
    needs={"structure_inconsistency", "boundary_inconsistency"},
    examples=(
        "structure_boundary(cosine=printed, distances=raw, combine=raw)",
        "structure_boundary(dice=squared, distances=rescaled, combine=diagonal)",
    ),
    paper="Zhou et al. 2024, SBC-AL: structure and boundary consistency-based active learning",
)
def structure_boundary(
    candidates: Candidates,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    structure: float = 0.8,
    angle: float = 0.6,
    cosine: str = "scale_free",
    dice: str = "printed",
    distances: str = "normalised",
    combine: str = "minmax",
) -> NDArray[np.float32]:
    """How far the companion `structure_boundary` contradicts itself about a region's shape and about its boundary.

    The score is `structure` · SCS + (1 - `structure`) · BCS. SCS compares s, the distance map of the predicted
    segmentation, with d, the one regressed from the encoder, over all pixels and classes: `angle` · Q_cos
    + (1 - `angle`) · Q_dice with Q_cos = -⟨s, d⟩ / (‖s‖·‖d‖) and Q_dice = 1 - 2⟨s, d⟩ / (Σs + Σd). BCS is the Hausdorff
    distance between the boundaries of the refined and of the network's own segmentation. All grow with inconsistency:
    the largest score is queried first, whatever the word consistency in the paper's name for it.

    cosine      ``scale_free``, the cosine; ``printed``: with ‖s‖²·‖d‖² below the line, as the paper prints it, which
                calls large organs inconsistent however well both maps agree
    dice        ``printed``, not 0 for equal maps that are not binary; ``squared``: with Σs² + Σd², which is
    distances   ``normalised``: s of each class divided by its largest value, d as the companion regresses it;
                ``rescaled``: both divided; ``raw``: neither
    combine     ``minmax``: SCS and BCS are first stretched to 0 to 1 over the pool, one that is the same everywhere
                counts nothing; ``raw``: as they are, BCS in pixels, beside which SCS hardly counts; ``diagonal``: BCS as
                a share of the image's diagonal

    Where one of the maps is 0 everywhere Q_cos is 0, the most inconsistent; for two such maps Q_dice is 0. Several passes
    are averaged. Regions whose facts are not finite come last, with a warning. Raises `SettingError` for shares outside 0
    to 1 and unknown words.
    """
    _check(structure, angle, {"cosine": cosine, "dice": dice, "distances": distances, "combine": combine})
    facts = np.asarray(candidates.columns["structure_inconsistency"], np.float64)
    edges = np.asarray(candidates.columns["boundary_inconsistency"], np.float64)
    good = np.isfinite(facts.sum(axis=(1, 2, 3)) + edges.sum(axis=(1, 2)))
    if not good.all():
        warnings.warn(
            f"What the companion says of {int((~good).sum())} of {len(good)} regions is not finite; these come last.",
            CuretteWarning,
            stacklevel=2,
        )
    score = np.full(len(good), -np.inf, np.float32)
    if good.any():
        scs = structure_score(facts[good], angle=angle, cosine=cosine, dice=dice, distances=distances)
        bcs = edges[good].mean(axis=1)[:, int(combine == "diagonal")]
        score[good] = combined(scs.mean(axis=1), bcs, structure, stretch=combine == "minmax")
    return score


def structure_score(
    facts: NDArray[np.float64], *, angle: float, cosine: str, dice: str, distances: str
) -> NDArray[np.float64]:
    """SCS of [..., C, 7] numbers of `curette.learn.companions.consistency.structure_inconsistency`, [...]."""
    own, regressed = facts[..., LARGEST], facts[..., REGRESSED_LARGEST]
    own = np.ones_like(own) if distances == "raw" else np.where(own > 0, own, 1.0)
    regressed = np.where(regressed > 0, regressed, 1.0) if distances == "rescaled" else np.ones_like(own)
    product = (facts[..., PRODUCT] / (own * regressed)).sum(axis=-1)
    squares = (
        (facts[..., SQUARE] / own**2).sum(axis=-1),
        (facts[..., REGRESSED_SQUARE] / regressed**2).sum(axis=-1),
    )
    sums = (facts[..., SUM] / own).sum(axis=-1), (facts[..., REGRESSED_SUM] / regressed).sum(axis=-1)
    norms = squares[0] * squares[1]
    q_cos = -_over(product, norms if cosine == "printed" else np.sqrt(norms), nothing=0.0)
    whole = sum(squares) if dice == "squared" else sum(sums)
    q_dice = 1 - _over(2 * product, np.asarray(whole), nothing=1.0)
    return angle * q_cos + (1 - angle) * q_dice


def combined(
    scs: NDArray[np.float64], bcs: NDArray[np.float64], structure: float, *, stretch: bool
) -> NDArray[np.float64]:
    """`structure` · SCS + (1 - `structure`) · BCS over a pool [N]; with `stretch`, of both from 0 to 1."""
    if stretch:
        scs, bcs = _stretched(scs), _stretched(bcs)
    return structure * scs + (1 - structure) * bcs


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _over(above: NDArray[np.float64], below: NDArray[np.float64], nothing: float) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full_like(above, nothing), where=below > 0)


def _check(structure: float, angle: float, words: dict[str, str]) -> None:
    for name, share in (("structure", structure), ("angle", angle)):
        if not 0 <= share <= 1:
            raise SettingError(
                f"Scorer 'structure_boundary': {name} is {share:g}, but is a share from 0 to 1."
            )
    known = {"cosine": _COSINES, "dice": _DICES, "distances": _UNITS, "combine": _COMBINATIONS}
    for name, word in words.items():
        if word not in known[name]:
            raise unknown(name, word, known[name])
