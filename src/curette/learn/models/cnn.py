"""Networks for the classification of whole images."""

from __future__ import annotations

from itertools import pairwise

from monai.networks.blocks import ResidualUnit
from torch import Tensor, nn

from curette.registry import register
from curette.task import Task


class Classifier(nn.Module):
    """An encoder, its features averaged over space, dropout, and one linear layer: images of any size → logits [B, C]."""

    def __init__(self, encoder: nn.Sequential, features: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.deepest = encoder
        self.levels = tuple(encoder)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.deepest(x).flatten(2).mean(2)))  # type: ignore[no-any-return]


@register("model", "cnn", kinds=("classification",), paper="He et al., residual networks, 2016")
def cnn(
    task: Task, channels: int, *, widths: tuple[int, ...] = (16, 32, 64, 128), dropout: float = 0.2
) -> nn.Module:
    """Small residual network in 2D or 3D, one residual unit a level, for images of 28 to a few hundred voxels a side."""
    units = [
        ResidualUnit(
            task.dims,
            a,
            b,
            strides=1 if number == 0 else 2,
            adn_ordering="NDA",
            act=("relu", {"inplace": True}),
            norm="batch",
            dropout=dropout / 2,
            dropout_dim=task.dims,
        )
        for number, (a, b) in enumerate(pairwise((channels, *widths)))
    ]
    return Classifier(nn.Sequential(*units), widths[-1], len(task.classes), dropout)
