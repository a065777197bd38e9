"""Presets: disagreement of several passes of one network."""

from __future__ import annotations

from curette.query.presets.table import Preset

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
    "bald": _BALD,
    "jsd": _BALD,
    "mutual_information": _BALD,
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
    "melanoma_ceal": Preset(
        "dropout(20) > off_contour(mc_std) > unit(sum) > top + ceal",
        "Images of one size with one structure: doubt away from the predicted border, where a lesion was missed or has a hole.",
        "Gorriz et al. 2017",
        family="many passes",
        fails="A sum compares images of one size only. Blind to borders that are wrong by a little, which is most of what is "
        "wrong late in a study.",
        notes=(
            "The most uncertain go to people, and images that the model is sure of teach the next one. Which those are the "
            "paper reads off a histogram of the same sums; curette trusts them by their mean entropy, as `ceal` does.",
            "The released code adds up variances, not standard deviations ('off_contour(variance)'), and measures distances "
            "in the last pass's probabilities, where there is no contour; see the scorer.",
            "It asks people for ten images of the lowest sum, in which nothing is detected, for ten from the emptiest bins at "
            "the upper end of a histogram, and for some of a middle range by chance. In curette lowest and highest are "
            "'melanoma_ceal > split(top, bottom)', where what the weight leaves of an empty answer is its whole doubt.",
        ),
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
}
