"""Chance with a quota for each stratum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError, unknown
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.apportion import cases, groups, in_turn, quotas
from curette.query.truth import no_groups
from curette.region import Region
from curette.registry import register

_STRATA = ("class", "patient", "third")


@register(
    "selector",
    "stratified",
    examples=('stratified("third")', 'stratified(by="class", share="equal")'),
    paper="Cochran 1977, Sampling techniques",
)
def stratified(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    by: str = "patient",
    share: str = "proportional",
) -> NDArray[np.int64]:
    """Chance within strata, each with its quota of the budget.

    Strata are the patients, the predicted classes (``by="class"``), or the lower, middle and upper third of each case
    (``"third"``; of its slices, or of the places of its boxes along the last axis). Quotas are ``proportional`` to the
    regions left in a stratum, or ``equal``, rounded by largest remainder; a stratum that is too small leaves its share
    to the others. Chance decides between equal remainders: deciding by order instead would hand the whole batch to
    the first patients of the pool wherever there are more patients than picks. Picks go round the strata in turn.
    A control: what a method gains over this, it does not owe to spreading alone. O(N log N). Raises `SettingError` for
    unknown options, thirds of images that have no slices, and classes that no model predicted.
    """
    if by not in _STRATA:
        raise unknown("stratum", by, _STRATA)
    return _by_quota(_labels(candidates, labelled, by), budget, share, rng)


@register(
    "selector",
    "stratified_by_truth",
    truth=True,
    starts=True,
    examples=('stratified_by_truth(share="equal")',),
    paper="PCDAL 2023, stratified draws of the first images",
)
def stratified_by_truth(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    share: str = "proportional",
) -> NDArray[np.int64]:
    """Chance within the true classes, each with its quota of the budget.

    For the first images of a simulation in classification, as they are drawn in PCDAL's experiments: every class is there
    from the beginning. It looks at ground truth, which nobody has before the first label; reports say so. Quotas are
    ``proportional`` to the images left of a class, or ``equal``, rounded by largest remainder, and picks go round the
    classes in turn. A region of a segmentation counts for the foreground class that most of its pixels have, or for the
    background (class 0) if it has none: by all pixels, nearly every image would be background. O(N log N). Raises
    `SettingError` for another `share`, or where there is no ground truth to see.
    """
    found = candidates.columns.get("truth")
    if found is None:
        raise SettingError(
            "the selector 'stratified_by_truth' looks at ground truth, which only a simulation has. Use 'stratified' where "
            "people annotate."
        )
    foreground = np.asarray(found)[:, 1:]
    strata = np.where(foreground.any(axis=1), 1 + foreground.argmax(axis=1), 0)
    return _by_quota(strata, budget, share, rng)


@register(
    "selector",
    "stratified_by_group",
    grouped=True,
    examples=('stratified_by_group(share="equal")',),
    paper="Cochran 1977; PCDAL 2023, draws of the first volumes by their source",
)
def stratified_by_group(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    share: str = "proportional",
) -> NDArray[np.int64]:
    """Chance within the hospitals, scanners or sources that the cases came from, each with its quota of the budget.

    For data of several centres: each is there from the first images on. Groups are told by the data set (`brats2019`, and
    `own` with ``{group}`` in its paths). Quotas are ``proportional`` to the regions left of a group, or ``equal``, rounded by
    largest remainder, and picks go round the groups in turn. Cases whose group is not told are one group. O(N log N). Raises
    `SettingError` for another `share`, and where the data set tells no groups.
    """
    found = candidates.columns.get("group")
    if found is None:
        raise no_groups("stratified_by_group")
    return _by_quota(np.asarray(found), budget, share, rng)


def _by_quota(
    strata: NDArray[np.integer], budget: int, share: str, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Chance within strata [N], each with its quota, the picks of one after those of the other in turn."""
    members = groups(strata)
    quota = quotas(np.array([len(m) for m in members], np.int64), budget, share, rng)
    return in_turn(
        [rng.choice(m, q, replace=False) for m, q in zip(members, quota.tolist(), strict=True) if q]
    )


def classes_of(candidates: Candidates, who: str) -> NDArray[np.int32]:
    """The predicted classes [N]. Raises `SettingError` in the name of the selector `who` where no model was asked."""
    if (candidates.predicted < 0).any():
        raise SettingError(
            f"the selector '{who}' goes by the class a model predicts, and these passes ask none. Write "
            f"'single > none > {who}'; where there is no model yet, take a selector that needs none, such as 'stratified' "
            "or 'k_center'."
        )
    return candidates.predicted


def _labels(candidates: Candidates, labelled: Labelled, by: str) -> NDArray[np.integer]:
    """The stratum [N] of each candidate; only in the order of first appearance may numbers of patients matter."""
    if by == "class":
        return classes_of(candidates, 'stratified(by="class")')
    if by == "third":
        return _thirds(candidates.regions, labelled.regions)
    _, first, inverse = np.unique(candidates.patient, return_index=True, return_inverse=True)
    return first[inverse]


def _thirds(regions: Sequence[Region], done: Sequence[Region]) -> NDArray[np.int64]:
    """0, 1 or 2 for the lower, middle and upper third of what pool and labelled set have of the same case."""
    if all(region.axis < 0 and not region.box for region in regions):
        raise SettingError(
            "Selector 'stratified': by is 'third', but whole images have no lower and upper part. Write "
            "'stratified(\"patient\")' or 'stratified(\"class\")'."
        )
    place = np.fromiter((_place(r) for r in regions), np.float64, len(regions))
    starts, stops = cases(regions)
    low, high = np.minimum.reduceat(place, starts), np.maximum.reduceat(place, starts)
    row = {regions[start].case: i for i, start in enumerate(starts.tolist())} if len(done) else {}
    for region in done:
        if (i := row.get(region.case)) is not None and (region.box or region.axis >= 0):
            low[i], high[i] = min(low[i], _place(region)), max(high[i], _place(region))
    low, size = (np.repeat(a, stops - starts) for a in (low, high - low + 1))
    return np.asarray(3 * (place - low) / size, np.int64)


def _place(region: Region) -> float:
    """Where along its axis a slice is, or along the last axis the middle of a box."""
    if region.axis >= 0:
        return region.index
    if region.box:
        return sum(region.box[-1]) / 2
    return -1.0
