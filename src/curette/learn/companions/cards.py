"""The companions by name: their options and what is published of them; their modules import torch when they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curette.registry import register
from curette.task import Task

if TYPE_CHECKING:
    from torch.nn import Module

    from curette.learn.companions.contract import Companion


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
