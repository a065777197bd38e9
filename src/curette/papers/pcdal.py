"""PCDAL (2023): query by consistency under mirroring, for classification and segmentation in 2D and 3D."""

from __future__ import annotations

from typing import Any

from curette.papers.paper import Claim, Paper, Part, Row

_CLASSIFIERS = (
    Row("Random", "random"),
    Row("Max-Entropy", "entropy"),
    Row("VAAL", "vaal"),
    Row("O-MedAL", "o_medal"),
    Row("CoreMSE", "core_mse"),
    Row("CoreLog", "core_log"),
    Row("CoreGCN", "core_gcn"),
    Row("ALFA-Mix", "alfa_mix"),
    Row("PCDAL", "pcdal"),
    Row("LPI", "pcdal_lpi"),
)
_SLICES = tuple(row for row in _CLASSIFIERS if row.name in ("Random", "VAAL", "PCDAL", "LPI"))


def _volumes(size: int, stride: int) -> tuple[Row, ...]:
    score = f"windows(flips, size={size}, stride={stride}) > variance(views=sum)"
    return Row("Random", "random"), Row("PCDAL", f"{score} > top"), Row("LPI", f"{score} > bottom")


def _claims(rows: tuple[Row, ...]) -> tuple[Claim, ...]:
    names = [row.name for row in rows]
    against = [Claim("PCDAL", n, "against a baseline") for n in names if n not in ("PCDAL", "LPI")]
    return (
        *against,
        Claim("PCDAL", "LPI", "the least consistent instead of the most consistent"),
        Claim("Random", "LPI", "chance against the control"),
    )


_FLIPS = tuple(
    Row(f"{word} flip{'s' * (word != 'One')}", text)
    for word, text in (
        ("One", "pcdal_1_flip"), ("Two", "pcdal_2_flips"), ("Three", "pcdal"), ("Four", "pcdal_4_flips"),
        ("Five", "pcdal_5_flips"),
    )
)  # fmt: skip

_AUGMENT: dict[str, Any] = {
    "rotate": 0, "scale": 0, "shift": 0, "flip": ["x", "y"], "quarters": True, "brightness": 0, "contrast": 0, "gamma": 0, "noise": 0,
}  # fmt: skip
_QUERY = {"initial": "10%", "budget": "10%", "cycles": 5, "start": "class_stratified_random"}
_FULL_2D: dict[str, Any] = {
    "seeds": [0, 1, 2, 3, 4],
    "data": {"unit": "image"},
    "train": {
        "optimiser": "adamw",
        "lr": 1e-4,
        "schedule": "cosine",
        "warmup": 0,
        "clip": 0,
        "epochs": 100,
        "batch": 16,
        "loss": "cross_entropy",
        "validate_every": 1,
        "keep": "best",
        "augment": _AUGMENT,
    },
    "query": _QUERY,
}
_KVASIR = _FULL_2D | {
    "name": "PCDAL, Kvasir",
    "data": {"dataset": "kvasir", "unit": "image"},
    "split": {"train": 4000, "val": 2000, "test": 2000, "by_class": True},
    "prepare": {"window": [0, 255], "size": [512, 512], "fit": "resize"},
    "train": _FULL_2D["train"] | {"model": "resnet34", "options": {"pretrained": "imagenet", "dropout": 0.0}},
    "metrics": ["accuracy", "precision"],
}
_SMALL_CLASSES: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "train": {"model": "cnn", "epochs": None, "steps": 100, "batch": 16, "lr": 1e-3, "validate_every": 0, "keep": "last"},
}  # fmt: skip
_KVASIR_SMALL = _SMALL_CLASSES | {
    "split": {"train": 320, "val": 0, "test": 240},
    "prepare": {"size": [32, 32]},
}
_FULL_3D: dict[str, Any] = {
    "seeds": [0, 1, 2, 3, 4],
    "train": {
        "model": "pcdal_unet",
        "optimiser": "sgd(momentum=0.9)",
        "lr": 0.1,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "warmup": 0,
        "clip": 0,
        "steps": 30_000,
        "batch": 4,
        "crop": [96, 96, 96],
        "foreground": 0.0,
        "loss": "cross_entropy + soft_dice",
        "validate_every": 200,
        "keep": "best",
        "augment": _AUGMENT,
    },
    "query": _QUERY | {"start": "random"},
    "metrics": ["dice_3d", "hd95_medpy_mm"],
}
_IN_32 = _FULL_3D["train"] | {"options": {"widths": [16, 32, 64, 128]}, "crop": [32, 32, 32], "steps": 6000}
_SMALL_3D: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "split": {"train": 40, "val": 0, "test": 12},
    "train": {
        "options": {"widths": [8, 16, 32]},
        "steps": 100,
        "batch": 4,
        "lr": 0.03,
        "validate_every": 0,
        "keep": "last",
    },
}

PAPER = Paper(
    name="pcdal",
    title="PCDAL: a perturbation consistency-driven active learning approach for medical image segmentation and classification",
    citation="PCDAL, 2023",
    parts=(
        Part(
            name="kvasir",
            what="eight findings in endoscopic pictures, Kvasir v2, ResNet-34",
            rows=_CLASSIFIERS,
            tables=("pcdal-kvasir", "pcdal-kvasir-precision"),
            full=_KVASIR,
            small=_KVASIR_SMALL,
            claims=_claims(_CLASSIFIERS),
        ),
        Part(
            name="kvasir-flips",
            what="Kvasir with one to five mirrored and turned copies, Table IV",
            rows=_FLIPS,
            tables=("pcdal-kvasir-flips",),
            full=_KVASIR | {"name": "PCDAL, Kvasir, sets of views"},
            small=_KVASIR_SMALL,
            claims=(
                Claim("Three flips", "One flip", "more views"),
                Claim("Three flips", "Five flips", "fewer views"),
            ),
        ),
        Part(
            name="covid",
            what="COVID-19 infection in chest X-rays, COVID-QU-Ex, U-Net with a ResNet-34",
            rows=_SLICES,
            tables=("pcdal-covid",),
            full=_FULL_2D
            | {
                "name": "PCDAL, COVID-QU-Ex",
                "data": {"dataset": "covid_qu", "unit": "image"},
                "prepare": {"window": [0, 255], "size": [256, 256], "fit": "resize"},
                "train": _FULL_2D["train"]
                | {"model": "resnet34_unet", "options": {"pretrained": "imagenet", "dropout": 0.0}},
                "query": _QUERY | {"initial": 373, "budget": 373},
                "metrics": ["dice_2d", "pixel_accuracy"],
            },
            small={
                "seeds": [0, 1, 2],
                "query": {"initial": "10%", "budget": "10%"},
                "data": {"options": {}},
                "prepare": {"size": [32, 32]},
                "train": {
                    "model": "unet",
                    "options": {},
                    "epochs": None,
                    "steps": 60,
                    "lr": 1e-3,
                    "validate_every": 0,
                    "keep": "last",
                },
            },
            claims=_claims(_SLICES),
        ),
        Part(
            name="brats",
            what="the whole tumour in FLAIR volumes, BraTS 2019, 3D U-Net",
            rows=_volumes(96, 64),
            tables=("pcdal-brats",),
            full=_FULL_3D
            | {
                "name": "PCDAL, BraTS 2019",
                "data": {
                    "dataset": "brats2019",
                    "unit": "volume",
                    "options": {"channels": ["flair"], "regions": "whole"},
                },
                "split": {"train": 250, "val": 25, "test": 60},
                "prepare": {"percentiles": [0, 100], "crop_nonzero": True},
                "query": _FULL_3D["query"] | {"start": "none > none > unit > stratified_by_group"},
            },
            small={
                "seeds": [0, 1, 2],
                "split": {"train": 40, "val": 0, "test": 10},
                "prepare": {"spacing": [3, 3, 3]},
                "train": {
                    "options": {"widths": [8, 16, 32]},
                    "steps": 150,
                    "batch": 2,
                    "crop": [48, 48, 48],
                    "validate_every": 0,
                    "keep": "last",
                },
            },
            claims=_claims(_volumes(96, 64)),
        ),
        Part(
            name="hippocampus-3d",
            what="volumes of the hippocampus, the folder Task04_Hippocampus of the decathlon, a small 3D U-Net",
            rows=_volumes(32, 24),
            tables=("pcdal-brats",),
            full=_FULL_3D
            | {
                "name": "PCDAL, hippocampus volumes",
                "data": {"dataset": "msd", "unit": "volume"},
                "split": {"train": 200, "val": 20, "test": 40},
                "train": _IN_32,
            },
            small=_SMALL_3D,
            claims=_claims(_volumes(32, 24)),
            stands_for="brats",
        ),
        Part(
            name="pneumonia",
            what="normal chest X-rays and pneumonia, the file pneumoniamnist.npz of MedMNIST",
            rows=_CLASSIFIERS,
            tables=("pcdal-kvasir", "pcdal-kvasir-precision"),
            full=_KVASIR
            | {
                "name": "PCDAL, pneumonia",
                "data": {"dataset": "medmnist", "unit": "image"},
                "split": {},
                "prepare": {"percentiles": [0, 100]},
                "train": _KVASIR["train"] | {"options": {"stem": 1, "dropout": 0.0}},
            },
            small=_SMALL_CLASSES
            | {
                "data": {"options": {"subset": 0.25}},
                "train": _SMALL_CLASSES["train"] | {"steps": 200, "batch": 32},
            },
            claims=_claims(_CLASSIFIERS),
            stands_for="kvasir",
        ),
        Part(
            name="phantom",
            what="made-up volumes in slices, no files needed",
            rows=_SLICES,
            tables=("pcdal-covid",),
            full=_FULL_2D
            | {
                "name": "PCDAL, phantom",
                "data": {"dataset": "phantom", "unit": "slice", "options": {"patients": 60}},
                "split": {"train": 30, "val": 6, "test": 24},
                "train": _FULL_2D["train"] | {"model": "resnet34_unet", "options": {"dropout": 0.0}},
                "metrics": ["dice_2d", "pixel_accuracy"],
            },
            small={
                "seeds": [0, 1, 2],
                "data": {"options": {"patients": 16}},
                "split": {"train": 10, "val": 0, "test": 6},
                "train": {
                    "model": "unet",
                    "options": {},
                    "epochs": None,
                    "steps": 100,
                    "lr": 1e-3,
                    "validate_every": 0,
                    "keep": "last",
                },
            },
            claims=_claims(_SLICES),
            stands_for="covid",
        ),
        Part(
            name="phantom-3d",
            what="made-up volumes whole, a small 3D U-Net, no files needed",
            rows=_volumes(32, 24),
            tables=("pcdal-brats",),
            full=_FULL_3D
            | {
                "name": "PCDAL, phantom volumes",
                "data": {
                    "dataset": "phantom",
                    "unit": "volume",
                    "options": {"patients": 100, "size": [48, 48, 32]},
                },
                "split": {"train": 60, "val": 10, "test": 30},
                "train": _IN_32,
            },
            small=_SMALL_3D | {"data": {"options": {"patients": 52, "size": [48, 48, 32]}}},
            claims=_claims(_volumes(32, 24)),
            stands_for="brats",
        ),
    ),
    choices=(
        "Full scale: epochs are not stated. Taken: 100 for Kvasir and COVID-QU-Ex; 30,000 batches for BraTS, as in SSL4MIS, on which the release "
        "builds; the best model by validation, as the name of the released file says. Weight decay of AdamW is not stated: 1e-4.",
        "Small scale: 60 to 200 batches a training, small networks, no validation: the network as it is at the end of a training.",
        "Retraining or fine-tuning is not stated. Taken: every cycle from the same initial weights.",
        "The reduction over classes is not stated; the release averages. Taken: the mean.",
        "In 3D the release adds the errors of the four views, in 2D it averages: the order is the same. Mirrored are the two axes "
        "in the plane, window by window, as released. There, voxels where windows overlap count as often as they are seen; taken: once, "
        "from the blended logits of all windows they are in.",
        "Full scale, Kvasir: the paper divides '4000 images' into validation and test; only 4000, 2000 and 2000 add up to its 8000. Each has "
        "the same number of every class. Precision is the mean over classes.",
        "COVID-QU-Ex: the published split (3728, 932, 1166). Dice is averaged per image, an empty mask that is left empty is 1.",
        "Five folds are five stratified draws of the first 10 %: by class, COVID-QU-Ex by whether there is any infection, BraTS by where "
        "the cases came from.",
        "BraTS: the empty border of a volume is cropped as in the paper; crops of training are drawn evenly from what is left.",
        "BraTS, loss: cross-entropy and Dice 1:1 in the paper; SSL4MIS halves both and squares the Dice's denominators. Taken: the paper's, "
        "Dice of the tumour alone.",
        "HD95 of volumes: the pooled 95th percentile (medpy), in mm, as in the code the release builds on.",
        "Table V: squared, smooth L1 and Huber errors rank alike for probabilities, its differences (up to 0.56) are noise.",
    ),
    later=(
        "Table V, error functions: not run. Of its values only those of three rows at 20 % are at hand (91.54, 91.89 and 92.10), so that "
        "there is no table to compare with.",
    ),
)
