"""Chance that knows where the foreground is: from ground truth as a control, from predictions in practice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.apportion import cases
from curette.region import Region
from curette.registry import register

_PAPER = (
    "Lüth et al. 2025, nnActive: a framework for evaluation of active learning in 3D biomedical segmentation"
)


@register(
    "selector",
    "foreground_random",
    truth=True,
    examples=("foreground_random(0.3333333333333333)", "foreground_random(1)"),
    paper=_PAPER,
)
def foreground_random(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    share: float = 2 / 3,
) -> NDArray[np.int64]:
    """Chance, of which `share` goes to regions that hold a foreground class, by ground truth: a simulated annotator
    who browses the images and clicks on structures.

    Cases take turns in random order. With probability 1 - `share` a pick is any region of the case. Else one of the
    foreground classes present in what is left of the case is drawn, each equally likely, then one of its pixels, and
    the region that holds the pixel is picked: rare classes are sought as often as common ones. A case without
    foreground is passed over then, without losing its turn; when no case has any left, chance alone goes on. With
    boxes of one size the same rule holds, box for region.

    The source draws patches: a third each (two thirds, a sixth and a sixth for its weaker form) anywhere, centred on a
    pixel of a class, and centred on a border pixel of a class. Regions that are offered whole cannot be centred, and
    one that holds a class holds its border, so pixel and border are one rule here and the shares are 2/3 and 1/3. The
    source fails on an image without foreground, and its search for a place can go on for ever; here neither can
    happen. Where every case is a single region (classification, whole volumes) all that remains is that `share` of the
    picks hold foreground. Raises `SettingError` for a share outside [0, 1], or where there is no ground truth to see.
    """
    found = candidates.columns.get("truth")
    if found is None:
        raise SettingError(
            "the selector 'foreground_random' looks at ground truth, which only a simulation has. Use "
            "'predicted_foreground_random' where people annotate."
        )
    return _drawn(candidates.regions, found, found > 0, budget, rng, share)


@register(
    "selector",
    "predicted_foreground_random",
    needs={"probabilities"},
    examples=("predicted_foreground_random(1, least=0)",),
    paper=_PAPER + " (there from ground truth)",
)
def predicted_foreground_random(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    share: float = 2 / 3,
    least: float = 0.01,
) -> NDArray[np.int64]:
    """Chance, of which `share` goes to regions where the model sees a foreground class: `foreground_random` for
    practice.

    The same rule, with predictions in place of the truth: a class is present where it is the region's predicted class
    or has at least the share `least` of its probability, and the region is drawn in proportion to that share. Knows
    nothing of a class that the model never predicts. Raises `SettingError` for a `share` or `least` outside [0, 1].
    """
    if not 0 <= least <= 1:
        raise SettingError(
            f"Selector 'predicted_foreground_random': least is {least:g}, but is a share of the region in [0, 1]."
        )
    found: NDArray[np.float32] = np.nan_to_num(candidates.columns["probabilities"])
    present: NDArray[np.bool_] = found >= least
    known = np.flatnonzero((candidates.predicted >= 0) & (candidates.predicted < found.shape[1]))
    present[known, candidates.predicted[known]] = True
    return _drawn(candidates.regions, found, present, budget, rng, share)


def _drawn(
    regions: Sequence[Region],
    amount: NDArray[np.floating],
    present: NDArray[np.bool_],
    budget: int,
    rng: np.random.Generator,
    share: float,
) -> NDArray[np.int64]:
    """Picks by the rule above from each class's `amount` [N, C] and presence [N, C] in a region."""
    if not 0 <= share <= 1:
        raise SettingError(f"Foreground random: share is {share:g}, but is a part of the picks in [0, 1].")
    starts, stops = cases(regions)
    queue = rng.permutation(len(starts)).astype(np.int64)  # who is next: the case with the lowest number
    free = np.ones(len(regions), bool)
    left = stops - starts
    holds = np.asarray(present[:, 1:].any(axis=1))
    lit = np.add.reduceat(holds.astype(np.int64), starts)
    picks = np.empty(budget, np.int64)
    for i in range(budget):
        seek = rng.random() < share and bool(lit.any())
        case = int(np.argmin(np.where((lit if seek else left) > 0, queue, np.iinfo(np.int64).max)))
        rows = starts[case] + np.flatnonzero(free[starts[case] : stops[case]])
        pick = picks[i] = _with_class(rows, amount, present, rng) if seek else rng.choice(rows)
        queue[case] += len(queue)  # to the back
        free[pick] = False
        left[case] -= 1
        lit[case] -= holds[pick]
    return picks


def _with_class(
    rows: NDArray[np.int64],
    amount: NDArray[np.floating],
    present: NDArray[np.bool_],
    rng: np.random.Generator,
) -> int:
    """One of the rows: a foreground class among those present, then a row in proportion to its amount there."""
    cls = rng.choice(1 + np.flatnonzero(present[rows, 1:].any(axis=0)))
    rows = rows[present[rows, cls]]
    weight = amount[rows, cls].astype(np.float64)
    if weight.sum() <= 0:
        return int(rng.choice(rows))
    return int(rng.choice(rows, p=weight / weight.sum()))
