"""Presets: for cycle 0, before anything is labelled."""

from __future__ import annotations

from curette.query.presets.table import Preset

_ENCODER = "trains a small network on the pool's images, once a seed"

PRESETS: dict[str, Preset] = {
    "typiclust": Preset(
        "single > none > unit > typiclust",
        "Very few labels: the most typical region of each cluster in which nothing is labelled yet.",
        "Hacohen et al. 2022",
        family="cold start",
        fails="Loses to doubt once there are labels; stands and falls with the features; never looks at what is rare.",
        notes=(
            "The paper writes of distances and the released code averages squared ones; curette follows the paper, "
            "`typiclust(squared=true)` the code. The code drops clusters of five and fewer; here they wait till the end.",
        ),
    ),
    "prob_cover": Preset(
        "single > none > unit > prob_cover",
        "Very few labels: balls of one radius that cover as much of the pool as they can.",
        "Yehuda et al. 2022",
        family="cold start",
        fails="Loses to doubt once there are labels; the radius decides, and stands and falls with the features.",
        notes=(
            "The paper takes the largest radius whose balls are pure by clusters, which masks do not have; curette takes the "
            "one that covers 70 % after this batch, `prob_cover(purity=0.95, classes=10)` is the paper's rule.",
            "The released code leaves the last incomplete block of 500 regions out, and once all is covered returns the "
            "first region for ever; curette covers all and then takes the farthest.",
        ),
    ),
    # Before anything is labelled: features of the images alone.
    "cold_kmeans": Preset(
        "self_supervised > none > unit > kmeans",
        "The first labels: the middle of each group of images alike. With the features of a foundation model in place of "
        "the small network's, the best start for segmentation in MedCAL-Bench.",
        "MedCAL-Bench 2025; Chen et al. 2020",
        family="cold start",
        fails="Rare structures have no group of their own; features of a small network see size and shape before pathology.",
        cost=_ENCODER,
    ),
    "cold_typiclust": Preset(
        "self_supervised > none > unit > typiclust",
        "The first labels, a handful: what is typical of each group of images alike.",
        "Hacohen et al. 2022",
        family="cold start",
        fails="As typiclust; groups of five and fewer images wait till the end.",
        cost=_ENCODER,
    ),
    "cold_prob_cover": Preset(
        "self_supervised > none > unit > prob_cover",
        "The first labels, a handful: as many images as possible have a labelled one that is alike.",
        "Yehuda et al. 2022",
        family="cold start",
        fails="As prob_cover: the radius decides.",
        cost=_ENCODER,
    ),
    "cold_core_set": Preset(
        "self_supervised > none > unit > k_center",
        "The first labels where odd images matter: no image is far from a labelled one.",
        "Sener & Savarese 2018; Chen et al. 2020",
        family="cold start",
        fails="Begins with outliers and damaged scans.",
        cost=_ENCODER,
    ),
}
