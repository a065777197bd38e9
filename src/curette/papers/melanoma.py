"""Melanoma segmentation at image and region level; the image level is here."""

from __future__ import annotations

from typing import Any

from curette.papers.paper import Arm, Claim, Paper, Part, Row

_ROWS = (
    Row("Random", "random"),
    Row("Least confidence", "sum_confidence"),
    Row("Entropy", "single > entropy > unit(sum) > top"),
    Row("MC dropout", "mc_std"),
    Row("Full data", "random", arm="full-data"),
    Row("ALS+UNet", missing="a number the paper quotes from elsewhere"),
    Row("SA+AS", missing="a number the paper quotes from elsewhere"),
)
_CLAIMS = (
    Claim("Least confidence", "Random", "against a baseline"),
    Claim("Least confidence", "Entropy", "against a baseline"),
    Claim("Least confidence", "MC dropout", "against a baseline"),
    Claim("Least confidence", "Full data", "part of the images against all of them"),
    Claim("Random", "Full data", "part of the images against all of them"),
)


def _arms(steps: int) -> tuple[Arm, ...]:
    """Training on everything has the batches of all trainings of a strategy; `steps` are those of the small scale."""
    whole = {
        "train": {"epochs": None, "steps": 8140, "start": "scratch"},
        "query": {"initial": "100%", "budget": 0, "cycles": 1},
    }
    return Arm(), Arm("full-data", whole, {"train": {"steps": steps}}, reserved=True)


_FULL: dict[str, Any] = {
    "seeds": [0],
    "data": {"unit": "image"},
    "prepare": {"window": [0, 255], "size": [512, 512], "fit": "resize"},
    "train": {
        "model": "resnet18_unet",
        "options": {"pretrained": "imagenet", "dropout": 0.5},
        "optimiser": "sgd(momentum=0.9)",
        "lr": 0.01,
        "weight_decay": 1e-4,
        "schedule": "constant",
        "warmup": 0,
        "clip": 0,
        "epochs": 10,
        "batch": 32,
        "start": "finetune",
        "loss": "cross_entropy",
        "augment": {
            "rotate": 30, "scale": 0, "shift": 0, "flip": ["x", "y"], "brightness": 0.2, "contrast": 0.2, "gamma": 0,
            "noise": 0, "saturation": 0.2,
        },
    },
    "query": {"initial": 128, "budget": 32, "cycles": 37},
    "metrics": ["dice_2d"],
}  # fmt: skip

PAPER = Paper(
    name="melanoma",
    title="Active learning for melanoma segmentation at image and region level",
    citation="year and venue unconfirmed",
    parts=(
        Part(
            name="isic2018",
            what="skin lesions in dermoscopic pictures, ISIC 2018 task 1, U-Net with a ResNet-18, image level (Table I, Figure 4)",
            rows=_ROWS,
            tables=("melanoma-images",),
            full=_FULL
            | {
                "name": "Melanoma, ISIC 2018",
                "data": {"dataset": "isic2018", "unit": "image"},
                "measure_val": True,
            },
            small={
                "seeds": [0, 1, 2],
                "prepare": {"size": [64, 64]},
                "train": {"model": "unet", "epochs": None, "steps": 60, "batch": 16},
                "query": {"cycles": 8},
            },
            arms=_arms(8 * 60),
            claims=_CLAIMS,
        ),
        Part(
            name="phantom",
            what="made-up photographs of skin lesions, no files needed",
            rows=_ROWS,
            tables=("melanoma-images",),
            full=_FULL
            | {
                "name": "Melanoma, made-up lesions",
                "data": {
                    "dataset": "lesions",
                    "unit": "image",
                    "options": {"images": 1800, "size": [128, 128]},
                },
                "split": {"train": 1300, "val": 0, "test": 500},
                "prepare": {"percentiles": [0, 100]},
                "train": _FULL["train"] | {"options": {"dropout": 0.5}},
            },
            small={
                "seeds": [0, 1, 2],
                "data": {"options": {"images": 200, "size": [64, 64]}},
                "split": {"train": 130, "val": 0, "test": 70},
                "train": {"model": "unet", "epochs": None, "steps": 60, "batch": 8},
                "query": {"initial": 24, "budget": 8, "cycles": 10},
            },
            arms=_arms(10 * 60),
            claims=_CLAIMS,
            stands_for="isic2018",
            metrics={"dice_2d_val": ""},
        ),
        Part(
            name="regions",
            what="the region level: people label the uncertain pixels, the model the rest",
            rows=(
                *(
                    Row(f"Uncertain within {width}", missing="the region level is a later step")
                    for width in (".125", ".25", ".375")
                ),
                Row("Full annotation", missing="the region level is a later step"),
            ),
            tables=("melanoma-regions",),
            unavailable="the region level is a later step of curette; the image level is the part 'isic2018'.",
        ),
    ),
    choices=(
        "Least confidence: the formula is a confidence, the direction is in the prose. Taken: the lowest sum first.",
        "Entropy is printed for one class only. Taken: both classes, added up over the image; one class is one_sided_entropy.",
        "Full scale: '40 iterations' count the cold start, since the steps of the paper's full run add up to 37 trainings on 128 to "
        "1280 images. Taken so.",
        "Small scale: 60 batches a training, of curette's small U-Net. ISIC 2018 has 8 trainings on 128 to 352 images, the made-up "
        "photographs 10 on 24 to 96.",
        "The full-data run has as many batches as all trainings of a strategy together, 8140 at full scale. It is below chance in the "
        "paper: its schedule is no ceiling.",
        "Loss and passes of dropout are not stated. Taken: cross-entropy, ten passes. Rate and places of dropout are not stated either. "
        "Taken at full scale: 0.5, once before the head; the small U-Net has 0.1 on every level.",
        "Full scale: the paper widens its decoder by further 1 x 1 convolutions; taken: a plain U-Net on the same encoder.",
        "Brightness changes by up to 0.2 of the range.",
        "Rotation of 30 is read as degrees. The printed blur changes nothing to speak of and is left out.",
        "One run in the paper, and one seed at full scale: ask for more with --seeds. Small scale has three.",
        "Figure 4 is the learning curve in the report. Dice on the 100 validation pictures is measured like that on the test, and "
        "nothing is chosen by it; the made-up photographs have none, and their column stays empty.",
    ),
    later=("The region level is a later step: nothing of it is run by this command.",),
)
