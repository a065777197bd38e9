"""Stochastic Batches (Gaillochet et al. 2023): the best of random groups instead of the best images."""

from __future__ import annotations

from curette.papers.paper import Arm, Claim, Paper, Part, Row

_LOSS = "learning_loss(margin=0, absent=true)"
_SCORES = {
    "Entropy": "entropy",
    "Dropout": "dropout(8) > mutual_information",
    "TTA": "tta_jsd",
    "LearnLoss": "single > predicted_loss",
}
_COMPANION = {"LearnLoss": f" + {_LOSS}"}


def _rows() -> tuple[Row, ...]:
    rows = [Row("Random", "random"), Row("Core-set", "core_set")]
    for name, text in _SCORES.items():
        plain = f"{text} > top" if " > " in text else text
        more = _COMPANION.get(name, "")
        rows.append(Row(name, plain + more))
        rows.append(Row(f"{name}+SB", f"{text} > stochastic_batches{more}"))
    return tuple(rows)


ROWS = _rows()
CLAIMS = (
    *(Claim(f"{name}+SB", name, "with and without stochastic batches") for name in _SCORES),
    *(
        Claim(f"{name}+SB", "Random", "with stochastic batches, against chance")
        for name in ("Entropy", "Dropout", "TTA")
    ),
)

_FULL = {
    "seeds": [0, 1, 2, 3, 4],
    "data": {"unit": "slice", "axis": "z"},
    "prepare": {"percentiles": [1, 99]},
    "train": {
        "model": "stochastic_batches_unet",
        "steps": 18_750,
        "batch": 4,
        "optimiser": "adam",
        "lr": 2e-4,
        "weight_decay": 1e-4,
        "schedule": "epochs_cosine(epochs=75, warm=10, start=0.005, end=0.0005, hold=1)",
        "clip": 0,
        "loss": "cross_entropy(weight=0.5) + soft_dice(weight=0.5, epsilon=1e-9)",
        "augment": {
            "rotate": 10, "scale": 0, "shift": 0, "brightness": 0, "contrast": 0, "gamma": 0, "noise": 0.01, "noisy": 0.5,
        },
    },
    "query": {"initial": 10, "budget": 10, "cycles": 7},
    "metrics": ["dice_3d", "dice_2d", "hd95_mm"],
}  # fmt: skip
_SMALL = {
    "seeds": [0, 1, 2],
    "train": {
        "options": {"widths": [8, 16, 32, 64]},
        "steps": 300,
        "batch": 8,
        "lr": 1e-2,
        "schedule": "cosine",
        "loss": "cross_entropy(weight=0.5) + soft_dice(weight=0.5)",
    },
}

_PROSTATE = _FULL | {
    "name": "Stochastic Batches, prostate",
    "data": {"dataset": "promise12", "unit": "slice", "axis": "z"},
    "split": {"train": 35, "val": 5, "test": 10},
    "prepare": {"percentiles": [1, 99], "spacing": [1, 1, 0], "size": [128, 128], "fit": "resize"},
}
_PROSTATE_SMALL = _SMALL | {
    "split": {"train": 20, "val": 0, "test": 8},
    "prepare": {"size": [64, 64]},
}

PAPER = Paper(
    name="stochastic-batches",
    title="Active learning for medical image segmentation with stochastic batches",
    citation="Gaillochet, Desrosiers and Lombaert, Medical Image Analysis 2023",
    parts=(
        Part(
            name="hippocampus",
            what="anterior and posterior hippocampus in slices of MR, the folder Task04_Hippocampus of the decathlon",
            rows=ROWS,
            tables=("stochastic-batches-hippocampus-anterior", "stochastic-batches-hippocampus-posterior"),
            full=_FULL
            | {
                "name": "Stochastic Batches, hippocampus",
                "data": {"dataset": "msd", "unit": "slice", "axis": "z"},
                "split": {"train": 200, "val": 10, "test": 50},
                "prepare": {"percentiles": [1, 99], "size": [50, 50]},
            },
            small=_SMALL | {"split": {"train": 20, "val": 0, "test": 12}},
            claims=CLAIMS,
        ),
        Part(
            name="prostate",
            what="the prostate in slices of T2-weighted MR, PROMISE12",
            rows=ROWS,
            tables=("stochastic-batches-prostate",),
            full=_PROSTATE,
            small=_PROSTATE_SMALL,
            claims=CLAIMS,
        ),
        Part(
            name="prostate-initial",
            what="the prostate, with initial sets of 5 to 25 slices",
            rows=tuple(row for row in ROWS if row.name != "Core-set"),
            tables=("stochastic-batches-prostate-initial",),
            full=_PROSTATE | {"name": "Stochastic Batches, prostate, initial sets"},
            small=_PROSTATE_SMALL,
            arms=tuple(Arm(f"initial-{n}", {"query": {"initial": n}}) for n in (5, 10, 15, 20, 25)),
            claims=CLAIMS,
        ),
        Part(
            name="prostate-hyperparameters",
            what="the prostate, mean of five sets of hyper-parameters",
            rows=tuple(row for row in ROWS if row.name != "Core-set"),
            tables=("stochastic-batches-prostate-hyperparameters",),
            unavailable="the five sets of hyper-parameters are not published.",
        ),
    ),
    choices=(
        "Divergence: the paper prints entropy of the mean minus mean entropy, the release adds half of each. Taken: the "
        "paper's (mutual_information); the release's is jsd_blend.",
        "Loss: cross-entropy in the paper, half cross-entropy and half Dice in the release. Taken: the release's.",
        "Full scale, warm-up: to 200 times the base rate in the paper, 100 times in the release. Taken: 200.",
        "Prostate: the release trains with a sigmoid and scores with a softmax. Taken: softmax for both.",
        "Rotated copies: the release draws one angle a batch and counts pixels outside a copy as certain. Taken: an angle an "
        "image, such pixels left out.",
        "Learning loss: the release updates the loss module with two optimisers. Taken: one of its own. Margin 0, as released. Its "
        "gradient is cut off from the network after .27 of the batches, at full scale from 5,063 of 18,750 on; in the release from 5,250.",
        "Core-set: features are scaled to unit variance before distances are measured; the release takes them as they are "
        "(`k_center(standardise=false)`).",
        "Groups: in the release every scorer of a seed has the same permutation, since it seeds anew before each query. Taken: each "
        "strategy draws its own.",
        "Small scale: the paper's network with an eighth of its widths, 300 batches of 8 in place of 18,750 of 4, a rate of 0.01 and "
        "a plain cosine; the Dice's epsilon is curette's 1e-5, not the 1e-9 of the release and of full scale. With the paper's batches, "
        "schedule and ten times its rate, 300 of them did not train: with 40 random slices Dice was .43 on average, and .17 to .71 by "
        "seed; so it is .68 and .66 to .71.",
        "Hippocampus at 50 × 50: by centre crop and padding, since resizing would change the spacing. No empty slice is left "
        "out. The initial sets are drawn anew: the release numbers slices, but not which volumes they are of.",
        "HD95 is in mm here, in voxels in the paper (the same for the hippocampus in its plane); where one side is empty it is "
        "the diagonal of the volume, where the release has no value.",
        "Cycles: the paper averages six queries, the release makes twenty. Taken: six; the initial training is left out.",
    ),
    later=("Table 4, five sets of hyper-parameters: the sets are not published.",),
)
