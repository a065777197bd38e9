"""Presets: SBC-AL, whose distance maps and second segmentation are trained along."""

from __future__ import annotations

from curette.query.presets.table import Preset

_PAPER = "Zhou et al. 2024 (SBC-AL)"
_FAMILY = "trained along"
_COST = (
    "trains a branch of distance maps and a refinement along, at about twice the time of the network alone"
)
_ALONG = " + structure_boundary"

PRESETS: dict[str, Preset] = {
    "sbc_al": Preset(
        "single > structure_boundary > unit > top" + _ALONG,
        "Images whose predicted shapes are not those the encoder expects, or where refining moved a boundary.",
        _PAPER,
        family=_FAMILY,
        fails="While the distance branch has learnt little, as with few steps: the structure score is then chance.",
        cost=_COST,
        notes=(
            "The paper prints the squared norms under the product of the maps and calls it a cosine; curette divides by the "
            "norms, `structure_boundary(cosine=printed)` by their squares.",
            "The paper adds structure (from -0.6 to 0.4) and boundary (in pixels) as they are; curette stretches both to 0 to "
            "1 over the pool first, `structure_boundary(combine=raw)` does not.",
            "No code was published, and the paper gives neither weights of the loss nor the wiring; the page on SBC-AL tells "
            "each choice, with what was measured for it.",
        ),
    ),
    "sbc_al_printed": Preset(
        "single > structure_boundary(cosine=printed, distances=raw, combine=raw) > unit > top"
        + _ALONG
        + "(sfp_rate=0.01, distances=raw)",
        "To see the formulas of SBC-AL at work as they stand in the paper.",
        _PAPER,
        family=_FAMILY,
        fails="Large organs look inconsistent however well the maps agree, and boundaries in pixels outvote structure: a few voxels "
        "that only one segmentation has count as much as the image's diagonal, so that empty slices are asked for.",
        cost=_COST,
        notes=(
            "A hundredth of the learning rate for the distance branch, squared norms in the cosine, distances in pixels, structure "
            "and boundary added as they are. The direction is the same as in `sbc_al`: the largest sum first.",
        ),
    ),
    "sbc_al_structure": Preset(
        "single > structure_boundary(structure=1) > unit > top" + _ALONG,
        "An ablation of SBC-AL: consistency of structure alone.",
        _PAPER,
        family=_FAMILY,
        fails="Early, while the distance branch has learnt little; and where shapes are right but lie a little off.",
        cost=_COST,
    ),
    "sbc_al_boundary": Preset(
        "single > structure_boundary(structure=0) > unit > top" + _ALONG,
        "An ablation of SBC-AL: consistency of boundaries alone.",
        _PAPER,
        family=_FAMILY,
        fails="Where refining hardly moves a boundary, whatever the shape: a missed part of the organ has no boundary to move.",
        cost=_COST,
    ),
    "sbc_al_cosine": Preset(
        "single > structure_boundary(angle=1) > unit > top" + _ALONG,
        "An ablation of SBC-AL: structure by the cosine of the distance maps alone.",
        _PAPER,
        family=_FAMILY,
        fails="Where an organ is small: a few pixels decide on the angle between the maps.",
        cost=_COST,
    ),
    "sbc_al_dice": Preset(
        "single > structure_boundary(angle=0) > unit > top" + _ALONG,
        "An ablation of SBC-AL: structure by the Dice of the distance maps alone.",
        _PAPER,
        family=_FAMILY,
        fails="Where maps differ in height only: their Dice counts it, though the shape may be right.",
        cost=_COST,
    ),
}
