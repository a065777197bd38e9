"""The companions by name: their options and what is published of them; their modules import torch when they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curette.errors import SettingError
from curette.registry import register
from curette.task import Task

if TYPE_CHECKING:
    from torch.nn import Module

    from curette.learn.companions.contract import Companion


@register(
    "companion",
    "learning_loss",
    gives={"predicted_loss": ()},
    kinds=("classification", "segmentation"),
    dims=(2, 3),
    paper="Yoo & Kweon 2019, Learning loss for active learning",
)
def learning_loss(
    network: Module,
    task: Task,
    channels: int,
    *,
    width: int = 128,
    margin: float = 1.0,
    weight: float = 1.0,
    detach: float = 0.27,
    detach_after_query: bool = False,
    dice: bool = True,
    absent: bool = False,
    lr: float = 1e-3,
) -> Companion:
    """A head on the encoder's levels that learns which of two samples of a batch has the higher loss.

    Every level is averaged over space and goes through a linear layer of `width` with ReLU; one more layer makes a number
    of them. For the i-th sample and the i-th from the end, the head loses max(0, `margin` - the lead of the worse one),
    times `weight`. What is worse: cross-entropy for classification; for segmentation, cross-entropy plus, with `dice`,
    one minus the soft Dice of the foreground classes that the sample has, or of all of them (`absent`), where a class
    that is not there counts as missed.

    Its gradient shapes the network too, until the share `detach` of the training is over (0.27: within the 21st of 75
    epochs, at whose end Stochastic Batches 2023 cuts it), or with `detach_after_query` until the first query, as in PAAL
    2024. The head has its own SGD at the constant rate `lr`, with momentum 0.9 and weight decay 5e-4.

    The release of Stochastic Batches has ``margin=0``, for which a head that says the same of all is perfect, and lets
    the network's optimiser step the head as well; it also has ``absent=true``, by which a slice without foreground is among
    the worst. The release of PAAL has ``detach_after_query=true, dice=false``.
    """
    from curette.learn.companions.learning_loss import LearningLoss, Options

    if width < 1 or margin < 0 or weight < 0 or not lr > 0 or not 0 <= detach <= 1:
        raise SettingError(
            f"learning_loss: width is {width}, margin {margin:g}, weight {weight:g}, lr {lr:g} and detach {detach:g}; width "
            "and lr must be above 0, margin and weight 0 or more, and detach from 0 to 1."
        )
    options = Options(width, margin, weight, detach, detach_after_query, dice, absent, lr)
    return LearningLoss(network, task, channels, options)


@register(
    "companion",
    "accuracy_predictor",
    gives={"predicted_accuracy": ("classes",)},
    kinds=("segmentation",),
    dims=(2, 3),
    paper="PAAL 2024, Predictive accuracy-based active learning",
)
def accuracy_predictor(
    network: Module,
    task: Task,
    channels: int,
    *,
    silent: float = 0.0125,
    dropout: float = 0.5,
    lr: float = 0.0,
    weight_decay: float = 1e-4,
) -> Companion:
    """A second network that looks at an image and the network's answer, and predicts the Dice of every class.

    ResNet-18 (He et al. 2016), not pretrained, on the image and the probabilities; features averaged over space, `dropout`, a
    linear layer and a sigmoid. It learns from the batches of the training, with the squared distance from the Dice of the
    arg max: per image and class, background included, 1 for a class that is in neither answer nor truth. Nothing flows
    back, and the network is the same to the last bit with and without it.

    It says nothing for the share `silent` of the training (0.0125: 5 of 400 epochs, as published), and its rate lags
    behind the network's by as much. AdamW with a peak rate `lr` (0: the network's) and `weight_decay`, on which biases and
    norms have no part.
    """
    from curette.learn.companions.accuracy_predictor import AccuracyPredictor, Options

    if not 0 <= silent < 1 or not 0 <= dropout < 1 or lr < 0 or weight_decay < 0:
        raise SettingError(
            f"accuracy_predictor: silent is {silent:g}, dropout {dropout:g}, lr {lr:g} and weight_decay {weight_decay:g}; "
            "silent and dropout must be 0 or more and below 1, the others 0 or more."
        )
    return AccuracyPredictor(task, channels, Options(silent, dropout, lr, weight_decay))


@register(
    "companion",
    "structure_boundary",
    gives=dict.fromkeys(("distances", "structure", "coarse"), ("classes", "space")),
    kinds=("segmentation",),
    dims=(2, 3),
    paper="Zhou et al. 2024, SBC-AL: structure and boundary consistency-based active learning",
)
def structure_boundary(
    network: Module,
    task: Task,
    channels: int,
    *,
    coarse: float = 1.0,
    distance: float = 1.0,
    sfp_rate: float = 1.0,
    refine: str = "attention",
    blocks: int = 4,
    distances: str = "normalised",
    zero: str = "boundary",
    frame: bool = False,
) -> Companion:
    """SBC-AL's two branches: a map of distances for each class from the encoder, and a segmentation refined by them.

    The study's loss is that of the refined segmentation. Two terms are added: `coarse` times the cross-entropy of the
    network's own, and `distance` times the mean squared error of the distance maps, whose targets are made of the labels
    (see `curette.learn.distance`). The distance branch learns at `sfp_rate` times the network's rate, with an optimiser of
    its own unless that is 1. The paper has SGD with 0.0001 against 0.01, so 0.01; with AdamW and a few hundred steps the
    branch then learns nothing, and its scores mean less (measured in `docs/sbc-al.md`).

    refine      how the maps change the decoder's features: ``attention``, or, as in the paper's Table 3, ``add``,
                ``concat``, ``none``
    blocks      most levels of the encoder that the branch looks at
    distances   ``normalised``: each class's map is 1 at its largest; ``raw``: voxels
    zero        what distances count from: the region's own ``boundary`` voxels (then structures of one or two voxels
                vanish), or the voxels ``outside``
    frame       whether a region also ends at the image's frame

    The paper gives neither the weights of the terms nor the wiring, and no code was published.
    """
    from curette.learn.companions.structure_boundary import Options, StructureBoundary

    options = Options(coarse, distance, sfp_rate, refine, blocks, distances, zero, frame)
    return StructureBoundary(network, task, channels, options)
