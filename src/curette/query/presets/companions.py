"""Presets: something is trained along with the model to say where it fails."""

from __future__ import annotations

from curette.query.presets.table import Preset

_LL = "Yoo & Kweon 2019, Learning loss for active learning"
_PAAL = "PAAL 2024, Predictive accuracy-based active learning"
_HEAD = "trains a small head along with the model"
_SECOND = "trains a second network along with the model"
_SHAPES = (
    "While the head shapes the network, its runs start from another model than those of other strategies. Give all of them the "
    'head to compare picks alone: `train.companions = ["learning_loss"]`.'
)
_SB = (
    "The release of Stochastic Batches sets the margin to 0, for which a head that says the same of all is perfect, steps the "
    "head by two optimisers, and counts the Dice of classes that a slice lacks as 0; curette has a margin of 1, one optimiser and "
    "leaves those classes out. `+ learning_loss(margin=0, absent=true)` is nearer to the release."
)
_IQ = (
    "The released configuration queries every 5 epochs, the paper when the validation Dice no longer rises; the preset is the "
    "paper's. It trains longer before a query than a strategy with a fixed trigger: for a fair comparison set `query.trigger` for "
    "all, or take `paal_no_iq`."
)
_BACKGROUND = (
    "The paper leaves open whether background counts as a class, in the released code it does; `predicted_accuracy(foreground="
    "true)` leaves it out."
)
_VALIDATION = (
    "Its trigger needs `train.epochs`, `train.validate_every = 1` and validation patients (`split.val`)."
)
_FAILS = (
    "In early cycles the predictor has seen few images, all of which the network trained on: it learns accuracy on the labelled "
    "set, which is higher than on the pool."
)


def _without(what: str, text: str) -> Preset:
    """PAAL without a part of it, a row of its Table 4."""
    return Preset(
        text,
        f"PAAL without {what}, as the paper compares.",
        _PAAL,
        family="trained along",
        fails=_FAILS,
        cost=_SECOND,
    )


_ONLY = Preset(
    "single > predicted_accuracy > unit > top + plateau(10)",
    "PAAL by predicted accuracy alone, at its own times: the worst regions, however alike.",
    _PAAL,
    family="trained along",
    fails=f"{_FAILS} Picks neighbours that show the same.",
    cost=_SECOND,
    notes=(_VALIDATION, _IQ, _BACKGROUND),
)

PRESETS: dict[str, Preset] = {
    "learning_loss": Preset(
        "single > predicted_loss > unit > top",
        "Any task: a head on the network's features learns which samples are hard. One pass.",
        _LL,
        family="trained along",
        fails="Loses to chance in most comparisons on medical images: the head ranks the few labelled images, and picks what "
        "is alike.",
        cost=_HEAD,
        notes=(_SB, _SHAPES),
    ),
    "learning_loss_sb": Preset(
        "single > predicted_loss > unit > stochastic_batches",
        "The same with groups drawn by chance: the variety that the predicted loss lacks.",
        "Gaillochet et al. 2023; Yoo & Kweon 2019",
        family="trained along",
        fails="As stochastic_batches and learning_loss.",
        cost=_HEAD,
        notes=(_SB, _SHAPES),
    ),
    "lpl": Preset(
        "single > predicted_loss > unit > top + learning_loss(detach_after_query=true, dice=false)",
        "learning_loss as PAAL compares with it: by cross-entropy alone, and apart from the network after the first query.",
        "Yoo & Kweon 2019, as in PAAL 2024",
        family="trained along",
        fails="As learning_loss.",
        cost=_HEAD,
        notes=(
            "PAAL's baselines query at epochs 10, 15, 20 and so on of one training: `+ every(5, first=10)`.",
            _SHAPES,
        ),
    ),
    "paal": Preset(
        "single > predicted_accuracy > unit > weighted_polling + plateau(10)",
        "Segmentation: a second network predicts the Dice of every class, clusters take turns, and labels come when training "
        "no longer gains by those that are there.",
        _PAAL,
        family="trained along",
        fails=f"{_FAILS} Not for classification.",
        cost=_SECOND,
        notes=(
            _VALIDATION,
            _IQ,
            _BACKGROUND,
            "PAAL clusters features as they are, `weighted_polling(standardise=false)`; curette scales them.",
            'PAAL trains once: `train.start = "continue"`. Its early stopping, queries and reported values all go by the same '
            "patients; curette reports those of test patients that training never sees.",
        ),
    ),
    "paal_ap_only": _ONLY,
    "paal_no_polling": _ONLY,
    "paal_no_iq": _without("its own times to query", "single > predicted_accuracy > unit > weighted_polling"),
    "paal_no_polling_no_iq": _without(
        "clusters and its own times to query", "single > predicted_accuracy > unit > top"
    ),
}
