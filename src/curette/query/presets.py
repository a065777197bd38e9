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
    "What the model could still learn, not what is noisy: the usual choice for a network with dropout.",
    "Houlsby et al. 2011; Gal et al. 2017",
    family="many passes",
    fails="Tiny and mostly noise in the first cycles; dropout in the decoder alone hardly moves it; near-duplicates.",
    notes=(
        "The code of stochastic batches (2023) calls a weighted mean of the two entropies JSD, which is close to plain "
        "entropy; curette's `jsd` is their difference, as the name says. The mean is `jsd_blend`.",
        "DeepAL switches the whole network to training mode for its passes, so that batch norm is disturbed as well; "
        "PAAL leaves dropout switched off, so that all passes agree. curette activates the dropout layers and nothing "
        "else, and refuses passes that do not differ.",
    ),
)

PRESETS: dict[str, Preset] = {
    "random": Preset(
        "none > none > unit > random",
        "The control every comparison needs, and hard to beat with few labels.",
        family="control",
        fails="Rare structures: most of what it picks shows background.",
        notes=("Several released codes draw with replacement and label an image twice; curette never does.",),
    ),
    "strided_random": Preset(
        "none > none > unit > strided",
        "The fairer control where neighbouring slices are near-duplicates: chance spread evenly over patients.",
        family="control",
        fails="Rare structures, as random. Deep volumes still get more picks than flat ones.",
    ),
    "entropy": Preset(
        "single > entropy > unit > top",
        "The cheapest uncertainty. Finds boundaries and rare classes.",
        "Settles & Craven 2008",
        family="one pass",
        fails="Picks neighbours that show the same; follows long boundaries, artefacts and noise; trusts a calibration "
        "that a network with few labels does not have.",
        notes=(
            "PAAL averages the probabilities of an image before it takes the entropy, which measures the mix of classes "
            "and calls a confident half-and-half image the most uncertain. curette takes the entropy of each pixel "
            "first; for theirs, write the reduction `marginal`.",
        ),
    ),
    "least_confidence": Preset(
        "single > least_confidence > unit > top",
        "Like entropy, but blind to how the remaining probability is spread over classes.",
        "Lewis & Gale 1994",
        family="one pass",
        fails="As entropy; with two classes it orders pixels exactly as entropy does.",
    ),
    "margin": Preset(
        "single > margin > unit > top",
        "Where two classes compete; a good choice for many classes.",
        "Scheffer et al. 2001",
        family="one pass",
        fails="As entropy; with two classes it orders pixels exactly as entropy does.",
    ),
    "bald": _BALD,
    "jsd": _BALD,
    "mutual_information": _BALD,
    "pcdal": Preset(
        "flips > variance > unit > top",
        "Disagreement between mirrored copies, for any network.",
        "PCDAL 2023",
        family="many passes",
        fails="Where left and right are labelled, mirroring contradicts itself; where training mirrored images too, the "
        "copies soon agree.",
    ),
    "pcdal_lpi": Preset(
        "flips > variance > unit > bottom",
        "Negative control of pcdal: the least informative images. It should lose.",
        "PCDAL 2023",
        family="control",
        fails="By design.",
    ),
    "core_set": Preset(
        "single > none > unit > k_center",
        "Coverage of the feature space without any uncertainty.",
        "Sener & Savarese 2018",
        family="representative",
        fails="Attracted by outliers and damaged scans; says little while features come from a network with few labels.",
        notes=(
            "The paper refines the greedy choice by a mixed-integer program that forgives outliers; the released program "
            "sets the outliers to none and needs a commercial solver. curette picks greedily; option `outliers` passes "
            "over the farthest.",
            "Several released codes keep all distances in half precision, which overflows; curette works in float32 and "
            "never holds more than one distance a region.",
        ),
    ),
    "stochastic_batches": Preset(
        "single > entropy > unit > stochastic_batches",
        "Keeps the variety of chance. Put it around any scorer: 'bald > stochastic_batches'.",
        "Gaillochet et al. 2023",
        family="randomised",
        fails="With large batches, random groups score alike and it becomes random.",
    ),
    # Controls that spread chance, and chance with more or less of the score.
    "stratified_random": Preset(
        "none > none > unit > stratified",
        "Chance with a share for every patient: what a method gains over this, it does not owe to spreading alone.",
        "Cochran 1977",
        family="control",
        fails="With more patients than picks, the quotas go to those with most images left.",
        notes=(
            "Equal remainders are decided by chance, not by the order of patients, which would favour the same few.",
        ),
    ),
    "foreground_random_33": Preset(
        "none > none > unit > foreground_random(0.3333333333333333)",
        "The control that is hard to beat: someone browses the images and clicks on a structure for one pick in three.",
        "nnActive 2025",
        truth=True,
        family="control",
        fails="A simulation only: it looks at ground truth. Little is left of it where whole volumes are picked.",
        cost="reads the labels of the whole pool at every query",
        notes=(
            "The source draws patches, 4/6 anywhere, 1/6 centred on a pixel of a class, 1/6 on its border; a region "
            "offered whole that holds a class holds its border, so curette has one rule with share 1/3.",
        ),
    ),
    "foreground_random_66": Preset(
        "none > none > unit > foreground_random",
        "The stronger form: two picks in three go to a structure, rare classes as often as common ones.",
        "nnActive 2025",
        truth=True,
        family="control",
        fails="A simulation only: it looks at ground truth. Little is left of it where whole volumes are picked.",
        cost="reads the labels of the whole pool at every query",
        notes=(
            "The source draws patches, a third each anywhere, centred on a pixel of a class, and on its border; a region "
            "offered whole that holds a class holds its border, so curette has one rule with share 2/3.",
        ),
    ),
    "predicted_foreground_random": Preset(
        "single > none > unit > predicted_foreground_random",
        "The same where people annotate: predictions in place of the truth. Strong wherever most of an image is background.",
        "nnActive 2025 (there from ground truth)",
        family="control",
        fails="Finds no class that the model does not predict yet.",
    ),
    "power": Preset(
        "dropout(10) > mutual_information > unit > power",
        "Twice the score is twice as likely to be picked: keeps variety in large batches. 'entropy > power(8)' is colder.",
        "Kirsch et al. 2023",
        family="randomised",
        fails="A few huge scores make it plain top; scores that do not count up from 0 need the option `zero`.",
        notes=(
            "One released library samples the certain regions where a score is low for uncertain ones, and counts "
            "temperature, 1/beta; in curette every score counts up, and scores below 0 by nature need a `zero`.",
            "One released code draws the noise from a generator nobody seeds; curette from that of seed and cycle.",
        ),
    ),
    "softmax": Preset(
        "dropout(10) > mutual_information > unit > softmax",
        "For scores that may be negative, with a beta that suits their range: 'margin > softmax(10)'.",
        "Kirsch et al. 2023",
        family="randomised",
        fails="As named, with beta 1 and scores of a few thousandths, it is chance alone.",
    ),
    "softrank": Preset(
        "dropout(10) > mutual_information > unit > softrank",
        "Only the order of scores counts: the safest of the randomised ones with an unknown scorer.",
        "Kirsch et al. 2023",
        family="randomised",
        fails="Takes a score that hardly differs as seriously as one that does.",
        notes=("The released code ranks equal scores by their place in the list; curette by chance.",),
    ),
}
