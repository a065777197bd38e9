"""Presets: the doubt of one prediction."""

from __future__ import annotations

from curette.query.presets.table import Preset

PRESETS: dict[str, Preset] = {
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
        notes=(
            "PAAL scores the probabilities averaged over an image, which measures how mixed its classes are; curette scores "
            "every pixel first. For theirs, write 'single > least_confidence > unit(marginal) > top'.",
            "PAAL's variation ratio is the same number, so that the two rows of its tables differ by chance alone.",
        ),
    ),
    "margin": Preset(
        "single > margin > unit > top",
        "Where two classes compete; a good choice for many classes.",
        "Scheffer et al. 2001",
        family="one pass",
        fails="As entropy; with two classes it orders pixels exactly as entropy does.",
        notes=(
            "PAAL scores the probabilities averaged over an image, which measures how mixed its classes are; curette scores "
            "every pixel first. For theirs, write 'single > margin > unit(marginal) > top'.",
        ),
    ),
    # Doubt of one pass.
    "ratio": Preset(
        "single > ratio > unit > top",
        "As margin, with the runner-up's probability as a share of the winner's.",
        "Settles 2009",
        family="one pass",
        fails="As entropy. With many improbable classes small numbers decide.",
    ),
    "sum_confidence": Preset(
        "single > sum_confidence > unit(sum) > top",
        "Two classes and images of one size: the distance of each pixel's probability from 1/2, added up.",
        "Active learning for melanoma segmentation at image and region level",
        family="one pass",
        fails="A sum compares images of one size only. As entropy otherwise.",
        notes=(
            "The paper calls the distance from 1/2 least confidence, which is a confidence; the lowest sum is asked for first.",
        ),
    ),
    "one_sided_entropy": Preset(
        "single > entropy(one_sided=true, bits=true) > unit(sum) > top",
        "To reproduce a paper's entropy of the foreground class alone.",
        "Active learning for melanoma segmentation at image and region level",
        family="one pass",
        fails="Prefers pixels called background: it peaks where the foreground has probability 1/e, not 1/2.",
        notes=("The paper prints -p log2 p for its one foreground class; `entropy` sums over all classes.",),
    ),
    "ceal": Preset(
        "single > entropy > unit > top + ceal",
        "People label the least sure, and the next model also learns what this one is sure of.",
        "Wang et al. 2017",
        family="one pass",
        fails="As entropy; and what it is wrongly sure of is confirmed. Compared with strategies that train on labels only, it "
        "asks two questions at once: 'entropy' is the same without pseudo-labels.",
        notes=(
            "The threshold falls linearly, 0.05 - 0.0033 t and 0 at the least; in segmentation whole images are trusted, by the "
            "mean entropy of their pixels.",
            "DeepAL+ subtracts the decay times t from what is left each time. PAAL begins at 5e-5 and falls like DeepAL+, on "
            "the class shares of an image, for the query too: 'single > entropy > unit(marginal) > top + ceal(start=5e-5, "
            "decay=3.3e-7, level=marginal, falling=quadratic)'.",
        ),
    ),
}
