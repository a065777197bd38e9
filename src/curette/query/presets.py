"""The table of named strategies: a published method is one line of text here, never a class."""

from __future__ import annotations

import re
from dataclasses import dataclass

FAMILIES = {
    "control": "What every comparison needs to beat, and negative controls.",
    "one pass": "The doubt of one prediction.",
    "many passes": "Disagreement of several predictions of the same image.",
    "randomised": "Any score with chance added, against picking the same thing many times over.",
    "representative": "The pool's variety, without looking at doubt.",
    "hybrid": "Doubt and variety together.",
    "trained at query time": "A further network is trained at every query to say what is wanted.",
    "cold start": "For cycle 0, before anything is labelled.",
    "wrapper": "Another selector under a condition.",
}
"""Families of strategies, in the order of tables, and what is common to each."""


@dataclass(frozen=True)
class Preset:
    """A strategy text and what one must know to choose it. What the text itself shows (passes, networks, features,
    cost) is not repeated here; `curette strategies` reads it from the text.

    text    the strategy, written out in four parts
    when    when it helps, in a sentence or two
    paper   its source, with the year
    truth   whether it looks at ground truth, which only a simulation has
    family  one of `FAMILIES`
    fails   when it fails, in a sentence or two
    cost    what it costs beyond what its text shows, as a phrase: "trains a small network at every query"
    notes   where sources disagree, a sentence or more each: "The paper prints …, the released code computes …,
            curette does …, option …"
    """

    text: str
    when: str
    paper: str = ""
    truth: bool = False
    family: str = ""
    fails: str = ""
    cost: str = ""
    notes: tuple[str, ...] = ()

    @property
    def year(self) -> int | None:
        """The year of the first source, None where there is none."""
        found = re.search(r"\b(?:19|20)\d\d\b", self.paper)
        return int(found[0]) if found else None


_BALD = Preset(
    "dropout(10) > mutual_information > unit > top",
    "What the model could still learn, not what is noisy: the usual choice for a network with dropout. Ten passes.",
    "Houlsby et al. 2011; Gal et al. 2017",
)

PRESETS: dict[str, Preset] = {
    "random": Preset(
        "none > none > unit > random",
        "The control every comparison needs, and hard to beat with few labels.",
    ),
    "strided_random": Preset(
        "none > none > unit > strided",
        "The fairer control where neighbouring slices are near-duplicates: chance spread evenly over patients.",
    ),
    "entropy": Preset(
        "single > entropy > unit > top",
        "The cheapest uncertainty, one pass. Finds boundaries and rare classes, but also noise and near-duplicates.",
        "Settles & Craven 2008",
    ),
    "least_confidence": Preset(
        "single > least_confidence > unit > top",
        "Like entropy, but blind to how the remaining probability is spread over classes.",
        "Lewis & Gale 1994",
    ),
    "margin": Preset(
        "single > margin > unit > top",
        "Where two classes compete; a good choice for many classes.",
        "Scheffer et al. 2001",
    ),
    "bald": _BALD,
    "jsd": _BALD,
    "mutual_information": _BALD,
    "pcdal": Preset(
        "flips > variance > unit > top",
        "Disagreement between mirrored copies: four passes, any network. Not where left and right are labelled.",
        "PCDAL 2023",
    ),
    "pcdal_lpi": Preset(
        "flips > variance > unit > bottom",
        "Negative control of pcdal: the least informative images. It should lose.",
        "PCDAL 2023",
    ),
    "core_set": Preset(
        "single > none > unit > k_center",
        "Coverage of the feature space without any uncertainty; attracted by outliers.",
        "Sener & Savarese 2018",
    ),
    "stochastic_batches": Preset(
        "single > entropy > unit > stochastic_batches",
        "Entropy of random batches: keeps the variety of chance. Put it around any scorer: 'bald > stochastic_batches'.",
        "Gaillochet et al. 2023",
    ),
}
