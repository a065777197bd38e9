"""A light U-Net: residual encoder, thin decoder that adds instead of concatenating, plain 1×1 head."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from monai.networks.blocks import Convolution
from monai.networks.layers.factories import Dropout
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from curette.errors import SettingError
from curette.learn.layout import layout
from curette.registry import register
from curette.task import Task


@register("model", "unet", kinds=("segmentation",), paper="Ronneberger et al., U-Net, 2015")
def unet(
    task: Task,
    channels: int,
    *,
    widths: tuple[int, ...] = (16, 32, 64, 128),
    dropout: float = 0.1,
    norm: str = "batch",
) -> nn.Module:
    """Light residual U-Net in 2D or 3D, for any image size, with dropout on every level of the encoder and the head."""
    if len(widths) < 2 or min(widths) < 1:
        raise SettingError(f"The network 'unet' needs at least two widths above 0, not {list(widths)}.")
    if task.dims == 2 and min(widths) < 8:
        # PyTorch 2.13 writes out of bounds in the backward pass of strided 1×1 convolutions with so few channels.
        raise SettingError(f"The network 'unet' needs at least 8 channels a level in 2D, not {list(widths)}.")
    if not 0 <= dropout < 1:
        raise SettingError(f"The network's dropout is {dropout:g}; it must be at least 0 and below 1.")
    return UNet(task.dims, channels, len(task.classes), widths, dropout, norm)


class UNet(nn.Module):
    """Each level halves the image. Full resolution, where most of the time goes, has two 3×3 convolutions in all.

    The head is a plain 1×1 convolution on features that are normalised and activated; the class channels themselves are
    neither. With that, no class drops out of the predictions when a handful of slices is all there is to learn from.
    Whole feature maps are dropped, not voxels: that perturbs coherent regions, and costs next to nothing.
    """

    def __init__(
        self, dims: int, channels: int, classes: int, widths: Sequence[int], dropout: float, norm: str
    ) -> None:
        super().__init__()

        def convolution(
            inside: int, outside: int, kernel: int = 3, stride: int = 1, act: bool = True
        ) -> nn.Module:
            return Convolution(  # type: ignore[no-any-return]
                dims,
                inside,
                outside,
                strides=stride,
                kernel_size=kernel,
                adn_ordering="NA",
                act=("relu", {"inplace": True}) if act else None,
                norm=norm,
                bias=False,
            )

        def drop() -> nn.Module:
            return Dropout[Dropout.DROPOUT, dims](dropout)  # type: ignore[no-any-return]

        self.dims = dims
        self.stem = convolution(channels, widths[0])
        self.encoder = nn.ModuleList(
            nn.ModuleDict(
                {
                    "body": nn.Sequential(convolution(a, b, stride=2), convolution(b, b)),
                    "skip": convolution(a, b, kernel=1, stride=2, act=False),
                    "drop": drop(),
                }
            )
            for a, b in pairwise(widths)
        )
        self.deepest = nn.Identity()  # where hooks find the features of the deepest level
        self.levels = (self.stem, *(level["drop"] for level in self.encoder[:-1]), self.deepest)  # type: ignore[index]
        self.decoder = nn.ModuleList(
            nn.ModuleDict({"narrow": convolution(b, a, kernel=1, act=False), "merge": convolution(a, a)})
            for a, b in reversed(list(pairwise(widths)))
        )
        self.drop = drop()
        self.head = getattr(nn, f"Conv{dims}d")(widths[0], classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        levels = []
        for level in self.encoder:
            levels.append(x)
            x = level["drop"](level["body"](x) + level["skip"](x))  # type: ignore[index]
        x = self.deepest(x)
        for level in self.decoder:
            across = levels.pop()
            up = interpolate(
                layout(level["narrow"](x)),  # type: ignore[index]  # 1×1 convolutions in 3D forget the layout
                size=across.shape[2:],
                mode="bilinear" if self.dims == 2 else "trilinear",
                align_corners=False,
            )
            x = level["merge"](relu(up + across))  # type: ignore[index]
        return self.head(self.drop(x))  # type: ignore[no-any-return]
