"""Presets: disagreement of several networks."""

from __future__ import annotations

from curette.query.presets.table import Preset

_COMMITTEE = Preset(
    "ensemble(5) > mutual_information > unit > top",
    "Disagreement of independently trained networks beyond their own doubt: the most faithful, and the most expensive.",
    "Lakshminarayanan et al. 2017; Beluch et al. 2018",
    family="many passes",
    fails="Networks that start from the same pretrained encoder, or share most of their labels, hardly differ.",
)

PRESETS: dict[str, Preset] = {
    "expected_dice": Preset(
        "ensemble(5) > expected_dice > unit > top",
        "The overlap to be expected of a prediction with the truth: each structure counts alike, whatever its size.",
        "nnActive 2025",
        family="many passes",
        fails="Not zero where passes agree. Where a class is absent, its tiny probabilities decide. Asks every network twice.",
        cost="each pass made twice",
    ),
    "ensemble": _COMMITTEE,
    "ensemble_disagreement": _COMMITTEE,
    "query_by_committee": Preset(
        "ensemble(5) > vote_entropy > unit > top",
        "Votes of independently trained networks: where they are split.",
        "Seung et al. 1992; Dagan & Engelson 1995",
        family="many passes",
        fails="Coarse with few networks. Networks that start from the same pretrained encoder hardly differ.",
    ),
    "ensemble_entropy": Preset(
        "ensemble(5) > entropy > unit > top",
        "Entropy of the average of several networks: better calibrated than one network's.",
        "Lakshminarayanan et al. 2017",
        family="many passes",
        fails="As entropy: noise in the images counts as much as ignorance.",
    ),
    "committee_dice": Preset(
        "ensemble(5) > dice_disagreement > unit > top",
        "Small structures: how far the masks of several networks overlap, whatever their size.",
        "Seung et al. 1992",
        family="many passes",
        fails="Jumps where a structure is often absent: one stray pixel against an empty mask is full disagreement.",
    ),
}
