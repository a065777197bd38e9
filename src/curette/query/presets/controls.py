"""Presets: what every comparison needs to beat, and negative controls."""

from __future__ import annotations

from curette.query.presets.table import Preset

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
    "pcdal_lpi": Preset(
        "flips > variance > unit > bottom",
        "Negative control of pcdal: the least informative images. It should lose.",
        "PCDAL 2023",
        family="control",
        fails="By design.",
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
    "class_stratified_random": Preset(
        "none > none > unit > stratified_by_truth",
        "For the first images of a simulation: chance with a share for every true class, so that none is missing.",
        "PCDAL 2023",
        truth=True,
        family="control",
        fails="A simulation only: it looks at ground truth, and a study in practice would begin with classes missing.",
        cost="reads the labels of the whole pool",
        notes=(
            "The paper says stratified five-fold; what its authors share are five stratified draws of the first tenth. "
            "curette draws them with query.start, and cuts test folds with split.folds.",
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
    "predicted_foreground_patch": Preset(
        "single > none > predicted_foreground_patch(32) > class_quota",
        "The control where patches are annotated: two thirds of them on structures the model sees, the rest anywhere.",
        "nnActive 2025 (there from ground truth)",
        family="control",
        fails="Finds no class that the model does not predict yet. Not for classification.",
        notes=(
            "The source draws from ground truth, for simulations: 'none > none > foreground_patch(32) > random'. One third "
            "instead of two: 'class_quota(0.33)'.",
            "The source draws for each patch what it is for; here the shares of a batch are exact.",
        ),
    ),
}
