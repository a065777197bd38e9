"""Presets: entropy of a committee, with noise and quotas for classes."""

from __future__ import annotations

from curette.query.presets.table import Preset

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

PRESETS: dict[str, Preset] = {
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
}
