"""The table of named strategies: a published method is one line of text here, never a class."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A strategy text, when to use it in one line, its source, and whether it looks at ground truth."""

    text: str
    when: str
    paper: str = ""
    truth: bool = False


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
