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

_COMMITTEE = Preset(
    "ensemble(5) > mutual_information > unit > top",
    "Disagreement of independently trained networks beyond their own doubt: the most faithful, and the most expensive.",
    "Lakshminarayanan et al. 2017; Beluch et al. 2018",
    family="many passes",
    fails="Networks that start from the same pretrained encoder, or share most of their labels, hardly differ.",
)


def _pcdal(error: str, words: str, cost: str = "") -> Preset:
    """PCDAL with another error function of its Table V."""
    return Preset(
        f"flips > variance({error}) > unit > top",
        f"PCDAL by {words} instead of squared error, as the paper compares.",
        "PCDAL 2023",
        family="many passes",
        fails="As pcdal.",
        cost=cost,
        notes=(
            "Smooth L1 and Huber are half the squared error for probabilities, so they pick the same images; what the paper "
            "shows between them is noise. Its hinge error is defined nowhere and left out.",
        ),
    )


def _flips(views: int) -> Preset:
    """PCDAL with another set of views of its Table IV."""
    return Preset(
        f"flips({views}) > variance > unit > top",
        f"PCDAL with {views - 1} changed views beside the image, as the paper compares.",
        "PCDAL 2023",
        family="many passes",
        fails="As pcdal.",
        notes=(
            "The paper's table swaps horizontal and vertical and does not say which mirrored view is turned; here it is "
            "along the last axis first, and the fourth and fifth view are the first and second with a quarter turn.",
        ),
    )


_ENCODER = "trains a small network on the pool's images, once a seed"

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


# Class-stratified and power-noised predictive entropy ------------------------------------------------------------------

_QUOTA = "Quotas for classes so that none is forgotten; five networks."
_NETWORKS = "For less training write 'dropout(10)' in place of 'ensemble(5)'; for patches, 'patch_by_class(32, 32, …)'."
_FEW = "With fewer picks than classes some classes get none; a class the model never predicts is picked for at random."
_BETAS = (
    "A run with Q trainings asks Q - 1 times; the released code spreads the noise schedule over the Q trainings, so that "
    'its last value is never used. curette does the same; option schedule_end="last_query" reaches it.'
)
_SHORT = (
    "The released code fails where a class has too few candidates; curette fills up from the whole score."
)
_CLASP = "ClaSP PE, 2026 (building on nnActive, 2025)"


def _stratified(
    text: str, when: str, *, family: str = "randomised", notes: tuple[str, ...] = (_SHORT,)
) -> Preset:
    return Preset(text, f"{when} {_NETWORKS}", _CLASP, family=family, fails=_FEW, notes=notes)


_CLASP_PE = _stratified(
    "ensemble(5) > entropy > unit_by_class(exponential) > class_quota",
    "Two thirds of the budget by class, with noise that fades from query to query: the best supported choice for "
    "segmentation with several classes.",
    notes=(
        _SHORT,
        _BETAS,
        "The shape of the schedule was compared on one data set with one seed: take it as open.",
    ),
)

PRESETS |= {
    "pred_entropy": Preset(
        "ensemble(5) > entropy > unit > top",
        "Entropy of the mean of five networks: steadier than that of one.",
        _CLASP,
        family="many passes",
        fails="Near-duplicates, and structures that are expensive to draw.",
    ),
    "power_pe": Preset(
        "ensemble(5) > entropy > unit > power",
        "The same, drawn in proportion to the entropy.",
        _CLASP,
        family="randomised",
        fails="Close to chance where all scores are alike.",
        notes=(
            "The released code draws the noise from a generator nobody seeds; curette from that of seed and cycle.",
            "For patches the source adds the noise to the mean of every window before it chooses among them: "
            "'patch(32, 32, beta=1) > top'. With 'patch(32, 32) > power' only the chosen ones get some.",
        ),
    ),
    "class_pe66": _stratified(
        "ensemble(5) > entropy > unit_by_class > class_quota",
        f"Two thirds of the budget by class, the rest by entropy. {_QUOTA}",
        family="many passes",
    ),
    "class_pe33": _stratified(
        "ensemble(5) > entropy > unit_by_class > class_quota(0.33)",
        f"One third of the budget by class, the rest by entropy. {_QUOTA}",
        family="many passes",
    ),
    "class_power_pe66": _stratified(
        "ensemble(5) > entropy > unit_by_class(beta=1) > class_quota",
        f"Two thirds of the budget by class, everything with power noise. {_QUOTA}",
    ),
    "class_power_pe33": _stratified(
        "ensemble(5) > entropy > unit_by_class(beta=1) > class_quota(0.33)",
        f"One third of the budget by class, everything with power noise. {_QUOTA}",
    ),
    "clasp_pe": _CLASP_PE,
    "class_power_pe66_exp": _CLASP_PE,
    "class_power_pe66_smooth_sigmoid": _stratified(
        "ensemble(5) > entropy > unit_by_class(sigmoid) > class_quota",
        f"clasp_pe with noise that fades along an S. {_QUOTA}",
        notes=(_SHORT, _BETAS),
    ),
    "class_power_pe33_smooth_sigmoid": _stratified(
        "ensemble(5) > entropy > unit_by_class(sigmoid) > class_quota(0.33)",
        f"One third by class, with noise that fades along an S. {_QUOTA}",
        notes=(_SHORT, _BETAS),
    ),
    "class_power_pe66_sharp_sigmoid": _stratified(
        "ensemble(5) > entropy > unit_by_class(sigmoid(tau=0.5)) > class_quota",
        f"clasp_pe with noise that goes at once, half way through. {_QUOTA}",
        notes=(_SHORT, _BETAS),
    ),
    "class_power_pe33_sharp_sigmoid": _stratified(
        "ensemble(5) > entropy > unit_by_class(sigmoid(tau=0.5)) > class_quota(0.33)",
        f"One third by class, with noise that goes at once, half way through. {_QUOTA}",
        notes=(_SHORT, _BETAS),
    ),
    # Variety of features, alone and together with doubt.
    "robust_core_set": Preset(
        "single > none > unit > k_center(rho=0.0001)",
        "As core_set, but passes over the farthest region in ten thousand, and one at least: damaged scans win no more.",
        "Sener & Savarese 2018, with outliers",
        family="representative",
        fails="A rare disease is an outlier too.",
        notes=(
            "The paper's program may leave a share of the pool uncovered, and its release sets that share to 0; here the "
            "greedy choice skips the share `rho` at every pick.",
        ),
    ),
    "kmeans": Preset(
        "single > none > unit > kmeans",
        "One region from the middle of each of as many clusters as picks: typical of the pool, no outliers.",
        "Nguyen & Smeulders 2004; as in PAAL 2024",
        family="representative",
        fails="Blind to doubt; a rare structure rarely has a cluster of its own.",
        notes=(
            "PAAL clusters the pool alone, so that cycles return to the same places: `kmeans(with_labelled=false, "
            "standardise=false)`. In curette labelled regions are further centres that stay where they are.",
        ),
    ),
    "kmeans_pp": Preset(
        "single > none > unit > k_means_pp",
        "Between chance and core_set: what lies far from all that is labelled is more likely, not certain, to be picked.",
        "Arthur & Vassilvitskii 2007; Holzmüller et al. 2023",
        family="representative",
        fails="Blind to doubt; features of a network with few labels say little.",
        notes=(
            "What one released benchmark calls kmeans++ takes the farthest region without chance; that is `core_set` "
            "here.",
        ),
    ),
    "badge": Preset(
        "single > none > unit > badge",
        "Classification: doubtful images that would move the last layer in different directions. A strong all-rounder.",
        "Ash et al. 2020",
        family="hybrid",
        fails="Varies from seed to seed; on a confident pool all gradients vanish and it becomes chance. In segmentation use "
        "badge_dense.",
        notes=(
            "The paper draws over gradients of length C·d; the authors' later code and curette work with their two factors, "
            "with the same distances. A released implementation keeps the origin as a ghost centre and may pick twice; "
            "curette does neither.",
        ),
    ),
    "badge_dense": Preset(
        "single > none > unit > badge_dense",
        "The same for segmentation: the gradient that the whole image would cause in the last layer.",
        "Ash et al. 2020; for dense predictions sketched in nnActive 2025",
        family="hybrid",
        fails="Gradients of single pixels cancel, and background swamps the mean.",
        notes=(
            "No paper defines it for masks; curette takes the gradient of the mean cross-entropy over pixels.",
        ),
    ),
    "entropy_kmeans": Preset(
        "single > entropy > unit > prefilter(kmeans(with_labelled=false), chance=0)",
        "The most doubtful twenty times the budget, and of those one from each of as many clusters: doubt without repeats.",
        "PAAL 2024",
        family="hybrid",
        fails="As entropy where more than twenty times the budget is noise.",
        notes=(
            "PAAL averages the probabilities over the image before it takes the entropy, which measures how mixed an image "
            "is; curette averages the entropy of the pixels.",
        ),
    ),
    "exploration_exploitation": Preset(
        "single > entropy > unit > dpp",
        "One dial, `theta`, from spreading out (0) to the highest scores (large): 'bald > dpp(2)'.",
        "Biyik et al. 2019",
        family="hybrid",
        fails="With more picks than features the volume is spent, and scores alone fill the batch.",
        notes=(
            "Taken literally, as many labelled regions as features leave nothing to explore; curette takes their features "
            "for known up to a `noise`; `dpp(noise=0)` is the literal form.",
        ),
    ),
    "suggestive_annotation": Preset(
        "ensemble(4) > variance > unit > max_cover",
        "Of the images on which networks disagree most, those that resemble most of the pool: doubt without outliers.",
        "Yang et al. 2017",
        family="hybrid",
        fails="Only twice the budget is looked at (`keep`): too few, and it is plain disagreement. Rare findings resemble "
        "nothing and are left out.",
        notes=(
            "The paper trains its networks on resampled labels; the passes `ensemble` train them on all labels from "
            "different seeds.",
            "The paper describes an image by the mean of each channel; a re-implementation averages over channels and keeps "
            "space, and sums doubt over pixels. curette follows the paper, and counts labelled images as covered "
            "(`max_cover(with_labelled=false)`: the paper).",
        ),
    ),
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
    "medal": Preset(
        "single > entropy > unit > medal",
        "Of the most doubtful, those farthest from all labelled images on average.",
        "Smailagic et al. 2018",
        family="hybrid",
        fails="Likes outliers, and near-duplicates far out on the same side.",
    ),
    "o_medal": Preset(
        'single > entropy > unit > medal("centroid")',
        "As medal with the distance to the centroid of the labelled images, as its authors' later code has it.",
        "Smailagic et al. 2020",
        family="hybrid",
        fails="As medal; what lies between two far groups of labels counts as near.",
        notes=(
            "Its online training, on the new labels and a share of the old, is not part of the preset: curette trains anew "
            "in every cycle. The released code mixes up two numberings of images there and may train on the wrong ones.",
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
    # Disagreement of many passes.
    "mean_std": Preset(
        "dropout(10) > mean_std > unit > top",
        "Spread of the probabilities over passes, in probabilities instead of nats.",
        "Kampffmeyer et al. 2016; Gal et al. 2017",
        family="many passes",
        fails="As bald. The mean over classes shrinks with their number; `mean_std(fg_only=true)` leaves the background out.",
        notes=("Divided by the number of passes, not by one less.",),
    ),
    "mc_std": Preset(
        "dropout(10) > mc_std > unit(sum) > top",
        "Two classes and images of one size: the spread of the foreground probability, added up.",
        "Active learning for melanoma segmentation at image and region level",
        family="many passes",
        fails="A sum compares images of one size only. Blind to which foreground class it is.",
        notes=("The paper states neither how many passes nor where dropout is; curette makes ten.",),
    ),
    "variation_ratio": Preset(
        "dropout(10) > variation_ratio > unit > top",
        "Votes of the passes: blind to calibration, as only the winner of each pass counts.",
        "Freeman 1965; Gal et al. 2017",
        family="many passes",
        fails="Coarse: as many levels as passes. Blind to doubt that never changes the winner.",
        notes=(
            "Three things go by this name. curette counts votes; one minus the largest mean probability, as in realistic-al, "
            "is 'dropout(10) > least_confidence'; with a single pass, as in DeepAL+ and PAAL, it is `least_confidence`.",
            "Ties are broken by mutual information, of which a hundred-thousandth is added.",
        ),
    ),
    "jsd_blend": Preset(
        "dropout(8) > jsd_blend > unit > top",
        "To reproduce results published under the name JSD that the released code cannot have computed so.",
        "Gaillochet et al. 2023",
        family="many passes",
        fails="Close to plain entropy: highest where all passes agree on even odds.",
        notes=(
            "The paper prints the entropy of the mean minus the mean entropy; the released code computes half their sum; "
            "`jsd` is the difference, `jsd_blend(alpha)` the sum.",
        ),
    ),
    "expected_dice": Preset(
        "ensemble(5) > expected_dice > unit > top",
        "The overlap to be expected of a prediction with the truth: each structure counts alike, whatever its size.",
        "nnActive 2025",
        family="many passes",
        fails="Not zero where passes agree. Where a class is absent, its tiny probabilities decide. Asks every network twice.",
        cost="each pass made twice",
    ),
    "ab_unet": Preset(
        "dropout(20) > entropy > unit > top",
        "Entropy of the average of twenty dropout passes, meant for a U-Net with dropout where it pools.",
        "AB-UNet: Active Bayesian U-Net, cited by PAAL 2024",
        family="many passes",
        fails="As entropy. With dropout elsewhere than in the encoder it is little more than entropy.",
        notes=(
            "No code was found. Its score may also be the mutual information, spread or votes of the same passes: "
            "'dropout(20) > mutual_information', '> mean_std', '> variation_ratio'.",
            "PAAL compares with it, but runs its passes with dropout switched off: all agree there, and chance picks.",
        ),
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
    # Views of the image.
    "tta_variance": Preset(
        "augment(8) > variance > unit > top",
        "Any network: spread of the answers to slightly turned and noisy copies. Right for anatomy with left and right.",
        "Gaillochet et al. 2023",
        family="many passes",
        fails="Says little once training has used the same changes.",
    ),
    "tta_jsd": Preset(
        "augment(8) > mutual_information > unit > top",
        "As tta_variance, by divergence.",
        "Gaillochet et al. 2023",
        family="many passes",
        fails="Says little once training has used the same changes.",
        notes=(
            "The released code averages the two entropies where the paper subtracts them: 'augment(8) > jsd_blend'. It draws "
            "one angle a batch, and counts pixels that a view cannot see as certain (`unit(mean_all)`); curette draws an "
            "angle an image and leaves such pixels out.",
        ),
    ),
    "tta_jsd_taal": Preset(
        "rotations(8) > mutual_information > unit > top",
        "As tta_jsd with the eight quarter turns and mirrorings, exact to the pixel. Not where left and right are labelled.",
        "Gaillochet et al. 2022",
        family="many passes",
        fails="Where left and right are labelled, a mirrored kidney is another kidney. Networks trained with the same "
        "turns hardly disagree.",
    ),
    "pcdal_3d": Preset(
        "windows(flips, size=96, stride=64) > variance(views=sum) > unit > top",
        "PCDAL for volumes: mirrored in plane, window by window, by networks that were trained on parts of volumes.",
        "PCDAL 2023",
        family="many passes",
        fails="As pcdal. Windows overlap, so a volume costs about three times its forward passes.",
        notes=(
            "The released 3D code sums over the four views where the 2D code averages, four times the scale and the same "
            "order; so does this preset.",
            "The code averages the scores of windows, so that voxels in overlaps count several times, and counts padding; "
            "curette puts probabilities together first and counts every voxel once.",
        ),
    ),
    "pcdal_l1": _pcdal("l1", "absolute distance", cost="each pass made twice"),
    "pcdal_smooth_l1": _pcdal("smooth_l1", "smooth L1"),
    "pcdal_huber": _pcdal("huber", "Huber's error"),
    "pcdal_kl": _pcdal("kl", "Kullback-Leibler divergence"),
    "pcdal_1_flip": _flips(2),
    "pcdal_2_flips": _flips(3),
    "pcdal_4_flips": _flips(5),
    "pcdal_5_flips": _flips(6),
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
    # Joint information, proper scores, feature mixing, pseudo-labels.
    "batch_bald": Preset(
        "consistent_dropout(20) > none > unit > batch_bald",
        "Small batches: what the whole batch says about the model, so that no two picks say the same.",
        "Kirsch et al. 2019",
        family="hybrid",
        fails="Information ends at ln T: with few passes or batches above about ten, the later picks are arbitrary. Slices "
        "are judged by their class shares alone, mostly background.",
        cost="joint entropy of a shortlist at every pick",
        notes=(
            "baal stops once gains fall below 0.1 and returns fewer picks; curette fills the budget.",
            "Passes share their dropout masks over all regions, as in the paper's code. With fresh masks an image, "
            "'dropout(20) > none > batch_bald', joint entropies mean little.",
            "The published packages refuse segmentation; here a region is the class of a pixel drawn at random from it.",
        ),
    ),
    "core_mse": Preset(
        "ensemble(5) > none > unit > core_mse",
        "What is expected to lower the squared error over the whole pool, in different places.",
        "Tan et al. 2021",
        family="hybrid",
        fails="Two networks are too few to be believed in degrees. Slices are judged by their class shares alone.",
        notes=(
            "The release's scores are T times these plus a constant, which curette leaves out of the vectors it clusters too.",
            "'ensemble(5) > core_mse > unit > top' ranks by the score alone; 'consistent_dropout(20)' spares the networks.",
        ),
    ),
    "core_log": Preset(
        "ensemble(5) > none > unit > core_log",
        "As core_mse, by the log score.",
        "Tan et al. 2021",
        family="hybrid",
        fails="As core_mse; small probabilities weigh heavily.",
        notes=(
            "The theory leads to KL(new ‖ old), the released code computes KL(old ‖ new); curette does the latter, "
            "`core_log(forward=true)` the former.",
        ),
    ),
    "alfa_mix": Preset(
        "single > none > unit > alfa_mix",
        "Regions whose prediction flips when their features move a little towards a class, spread over the pool. One pass.",
        "Parvaneh et al. 2022",
        family="hybrid",
        fails="Early on everything flips and it is k-means; late nothing does and it is chance. Segmentation keeps 64 pixels "
        "of features a region.",
        notes=(
            "The paper's closed form moves features by at most 0.2, the release's command line starts at 0.03125 and optimises "
            "the mixture; curette has the closed form, `alfa_mix(0.03125)` starts lower.",
            "The release fails where nothing flips, and fills up with replacement; curette fills up with other regions.",
        ),
    ),
    "ceal": Preset(
        "single > entropy > unit > top",
        "The query part of CEAL: the least sure. What it adds, training on what the model is sure of, is not part of it yet.",
        "Wang et al. 2017",
        family="one pass",
        fails="As entropy. Compared with strategies that train on labels only, pseudo-labels would mix two questions.",
        notes=(
            "`curette.query.ceal` has the threshold that falls linearly, 0.05 - 0.0033 t and 0 at the least, and the choice of "
            "pseudo-labels; no learner trains on them yet.",
            "DeepAL+ subtracts the decay times t from what is left each time, so that its threshold is negative from t = 17; "
            "PAAL keeps 5e-5, of the entropy of the class shares of an image.",
        ),
    ),
    # Networks trained at query time.
    "vaal": Preset(
        "single > vaal > unit > top",
        "Images that do not look like labelled ones, whatever the task.",
        "Sinha et al. 2019",
        family="trained at query time",
        fails="Blind to the task. The two networks must be kept in balance; equally tuned chance has been found as good.",
        cost="trains an autoencoder and a discriminator at every query",
        notes=(
            "The release sums the divergence of the codes where it averages the squared error, and so does curette; "
            "`vaal(kl_reduction=mean)` averages.",
            "DeepAL+ shows its discriminator the label 1 for both sets and queries what looks most labelled.",
            "The release trains for 100 epochs with 128 channels, curette for at most 200 steps with 16: `vaal(epochs=100, "
            "steps=100000, width=128, batch=128)`.",
        ),
    ),
    "task_aware_vaal": Preset(
        "single > task_aware_vaal > unit > top",
        "As vaal, told which regions the task's model is likely to get wrong.",
        "Kim et al. 2021",
        family="trained at query time",
        fails="As vaal. With few labelled regions the ranks are guesses.",
        cost="trains an autoencoder, a discriminator and a ranker at every query",
        notes=(
            "The paper's ranks come from a head trained with the task's network; curette trains a ranker on embeddings at "
            "query time, from the losses of labelled regions as far as their class shares show them, so that the model "
            "stays the same as in other strategies.",
        ),
    ),
    "core_gcn": Preset(
        "single > none > unit > core_gcn",
        "Core-set on features that tell labelled from unlabelled neighbourhoods apart.",
        "Caramalau et al. 2021",
        family="trained at query time",
        fails="A fully connected graph smooths features until they are alike; users could not repeat the published gains.",
        cost="trains a graph network at every query",
        notes=(
            "The release looks at 10,000 random regions only, and so does this; `core_gcn(nodes=0)` looks at all. In the "
            "release of task-aware VAAL, core_gcn is k-center on raw features, which is `core_set`.",
            "Cosines of features that may be negative are replaced by (1 + cos)/2, as their sums may vanish.",
        ),
    ),
    "uncertain_gcn": Preset(
        "single > uncertain_gcn > unit > top",
        "Regions that a graph of features almost takes for labelled ones.",
        "Caramalau et al. 2021",
        family="trained at query time",
        fails="As core_gcn. Sensitive to the weight of the unlabelled part of its loss.",
        cost="trains a graph network at every query",
        notes=("The release scores 10,000 random regions; curette trains on as many and scores all.",),
    ),
}
