"""SBC-AL: query by structure and boundary consistency, with a branch that regresses distances."""

from __future__ import annotations

from typing import Any

from curette.papers.paper import Arm, Claim, Paper, Part, Row, without

_ALL = Row("All labels", "random", arm="full-data")
_ACDC_ROWS = (
    Row("Random", "random"),
    Row("MaxEntropy", "entropy"),
    Row("LC", "least_confidence"),
    Row("Margin", "margin"),
    Row("Mean STD", "mean_std"),
    Row("VAAL", "vaal"),
    Row("SBC-AL", "single > structure_boundary(combine=raw) > unit > top + structure_boundary"),
    Row("SBC-AL, stretched", "sbc_al"),
    _ALL,
)
_KITS_ROWS = without(_ACDC_ROWS, "Mean STD", "VAAL")
_FULL_DATA = Arm("full-data", {"query": {"initial": "100%", "budget": 0, "cycles": 1}}, reserved=True)
_MAIN = (Arm(), _FULL_DATA)
_REFINEMENTS = {"None": "none", "Add": "add", "Concat": "concat", "ASR": "attention"}
_REFINED = tuple(Row(name, "random", arm=kind) for name, kind in _REFINEMENTS.items())


def _refined(kind: str) -> Arm:
    """Training on all labels with one way of refining."""
    whole = {
        "train": {"companions": [f"structure_boundary(sfp_rate=0.01, refine={kind})"]},
        "query": {"initial": "100%", "budget": 0, "cycles": 1},
    }
    small = {"train": {"companions": [f"structure_boundary(refine={kind})"]}}
    return Arm(kind, whole, small, reserved=True)


def _claims(rows: tuple[Row, ...]) -> tuple[Claim, ...]:
    others = (row.name for row in rows if not row.arm and not row.name.startswith("SBC-AL"))
    return tuple(Claim("SBC-AL", name, "against a baseline") for name in others)


_FULL: dict[str, Any] = {
    "seeds": [0, 1, 2, 3, 4],
    "data": {"unit": "slice"},
    "train": {
        "model": "basic_unet",
        "optimiser": "sgd(momentum=0.9)",
        "lr": 0.01,
        "weight_decay": 1e-4,
        "schedule": "decay(factor=0.9, every=500)",
        "warmup": 0,
        "clip": 0,
        "loss": "cross_entropy + soft_dice",
        "companions": ["structure_boundary(sfp_rate=0.01)"],
        "augment": {
            "rotate": 0, "scale": 0, "shift": 0, "brightness": 0, "contrast": 0, "gamma": 0, "noise": 0,
        },
    },
    "query": {"initial": "6.67%", "budget": "3.33%", "cycles": 9},
    "metrics": ["dice_3d", "dice_2d"],
}  # fmt: skip
_KITS = _FULL | {
    "name": "SBC-AL, KiTS19",
    "data": {"dataset": "kits19", "unit": "slice", "options": {"tumour": False}},
    "split": {"train": 0.8, "val": 0, "test": 0.2},
    "prepare": {"size": [256, 256], "fit": "resize"},
    "train": _FULL["train"] | {"epochs": 100, "batch": 8},
    "query": _FULL["query"] | {"cycles": 8},
}
_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "unet_plus_plus": ("U-Net++", {"features": [8, 16, 32, 64, 64, 8]}),
    "attention_unet": ("Attention U-Net", {"widths": [8, 16, 32, 64]}),
}
_SMALL_NET = {"model": "unet", "options": {}}
_SMALL: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "train": {
        "epochs": None,
        "steps": 150,
        "batch": 8,
        "schedule": "decay(factor=0.9, every=15)",
        "lr": 0.03,
        "companions": ["structure_boundary"],
        **_SMALL_NET,
    },
    "query": {"cycles": 5},
}
_KITS_SMALL = _SMALL | {"split": {"train": 20, "val": 0, "test": 8}, "prepare": {"size": [64, 64]}}


def _backbone(model: str) -> Part:
    title, small = _NETWORKS[model]
    return Part(
        name=f"kits19-{title.lower().replace('++', '-plus-plus').replace(' ', '-').replace('u-net', 'unet')}",
        what=f"KiTS19 at 10 % with {title} as backbone",
        rows=without(_KITS_ROWS, _ALL.name),
        tables=(f"sbc-al-kits19-{model.replace('_', '-')}",),
        full=_KITS
        | {
            "name": f"SBC-AL, KiTS19, {title}",
            "train": _KITS["train"] | {"model": model},
            "query": {"initial": "6.67%", "budget": "3.33%", "cycles": 2},
        },
        small=_KITS_SMALL
        | {"train": _SMALL["train"] | {"model": model, "options": small}, "query": {"cycles": 2}},
        claims=_claims(_KITS_ROWS),
    )


_ACDC = _FULL | {
    "name": "SBC-AL, ACDC",
    "data": {"dataset": "acdc", "unit": "slice", "options": {"part": "all"}},
    "prepare": {"size": [256, 256]},
    "train": _FULL["train"] | {"epochs": 60, "batch": 16},
}
_ACDC_SMALL = _SMALL | {"prepare": {"spacing": [4, 4, 0], "size": [64, 64]}}
_PHANTOM = _FULL | {
    "name": "SBC-AL, phantom",
    "data": {"dataset": "phantom", "unit": "slice", "options": {"patients": 100}},
    "split": {"train": 70, "val": 0, "test": 30},
    "train": _FULL["train"] | {"epochs": 60, "batch": 16},
}
_PHANTOM_SMALL = _SMALL | {
    "data": {"options": {"patients": 30}},
    "split": {"train": 20, "val": 0, "test": 10},
}


def _refinement(name: str, what: str, full: dict[str, Any], small: dict[str, Any], **more: Any) -> Part:
    return Part(
        name=name,
        what=f"{what}, all labels, four ways of refining by the distances (Table 3)",
        rows=_REFINED,
        tables=("sbc-al-acdc-asr",),
        full=full | {"name": f"{full['name']}, refinement"},
        small=small,
        arms=tuple(map(_refined, _REFINEMENTS.values())),
        claims=tuple(Claim("ASR", row, "against another refinement") for row in ("None", "Add", "Concat")),
        **more,
    )


PAPER = Paper(
    name="sbc-al",
    title="SBC-AL: structure and boundary consistency-based active learning for medical image segmentation",
    citation="SBC-AL, MICCAI 2024",
    parts=(
        Part(
            name="acdc",
            what="right ventricle, myocardium and left ventricle in slices of cine MR, ACDC",
            rows=_ACDC_ROWS,
            tables=("sbc-al-acdc",),
            full=_ACDC,
            small=_ACDC_SMALL,
            arms=_MAIN,
            claims=_claims(_ACDC_ROWS),
        ),
        _refinement("acdc-refinement", "slices of cine MR, ACDC", _ACDC, _ACDC_SMALL),
        Part(
            name="kits19",
            what="the kidneys with their tumours in slices of CT, KiTS19, U-Net",
            rows=_KITS_ROWS,
            tables=("sbc-al-kits19",),
            full=_KITS,
            small=_KITS_SMALL,
            arms=_MAIN,
            claims=_claims(_KITS_ROWS),
        ),
        _backbone("unet_plus_plus"),
        _backbone("attention_unet"),
        Part(
            name="hippocampus",
            what="slices of the hippocampus, the folder Task04_Hippocampus of the decathlon",
            rows=_ACDC_ROWS,
            tables=("sbc-al-acdc",),
            full=_FULL
            | {
                "name": "SBC-AL, hippocampus",
                "data": {"dataset": "msd", "unit": "slice"},
                "split": {"train": 200, "val": 0, "test": 60},
                "prepare": {"size": [64, 64]},
                "train": _FULL["train"] | {"epochs": 60, "batch": 16},
            },
            small=_SMALL | {"split": {"train": 16, "val": 0, "test": 12}},
            arms=_MAIN,
            claims=_claims(_ACDC_ROWS),
            stands_for="acdc",
        ),
        Part(
            name="phantom",
            what="made-up volumes in slices, no files needed",
            rows=_ACDC_ROWS,
            tables=("sbc-al-acdc",),
            full=_PHANTOM,
            small=_PHANTOM_SMALL,
            arms=_MAIN,
            claims=_claims(_ACDC_ROWS),
            stands_for="acdc",
        ),
        _refinement(
            "phantom-refinement",
            "made-up volumes in slices, nodule, cortex and medulla for the table's RV, MYO and LV",
            _PHANTOM,
            _PHANTOM_SMALL,
            stands_for="acdc-refinement",
            classes={"right ventricle": "nodule", "myocardium": "cortex", "left ventricle": "medulla"},
        ),
    ),
    choices=(
        "No code was published. How the blocks of the two branches are wired is the companion structure_boundary's, see its page; "
        "weights of the losses are not given and are 1 each.",
        "6.67 % and 3.33 % are cases, if the numbers of cases are taken at their word (10 and 5 of 150). Taken: slices, since a 2D "
        "network learns from slices; the shares are the paper's.",
        "Split: not stated. Taken: ACDC's own training and test patients, at full scale a fifth of KiTS19's patients for the test.",
        "Full scale: whether the input of 256 × 256 comes by cropping or resizing is not stated. Taken: centre crop of ACDC, "
        "resized KiTS19, whose kidneys a crop would cut.",
        "Networks of the baselines: the first column of the table differs by method. Taken: every strategy has the same network "
        "with both branches.",
        "Every cycle trains from new, without augmentation: neither is stated. Intensities are scaled by each scan's 1st and 99th "
        "percentile; how the paper scales them is not stated.",
        "KiTS19: the kidney is the kidney with its tumours.",
        "Dice in 2D or 3D is not stated. Taken: per volume; per slice is in the report.",
        "The two consistencies are added as they are, as printed; 'SBC-AL, stretched' is curette's own preset, sbc_al, which brings "
        "both to 0 to 1 over the pool first. Their cosine and their distances are curette's in both rows, since the printed cosine "
        "calls large organs inconsistent however well they agree; sbc_al_printed has the letter of the paper.",
        "Small scale: the first five budgets, to 20 %; 150 batches of 8 a training, small slices, a small U-Net (KiTS19's other "
        "backbones with narrow layers).",
        "Small scale: the distance branch learns at the network's rate. At a hundredth of it, as in the paper, it has learnt nothing "
        "after so few batches (see the page on SBC-AL).",
        "Table 3, 'None': whether the distance branch is still trained is not stated. Taken: it is, and only its maps refine nothing.",
        "The printed deviations are fractions of 1 and are not repeated.",
    ),
)
