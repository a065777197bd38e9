"""Networks of MONAI under one contract, to compare with."""

from __future__ import annotations

from monai.networks import nets
from torch import nn

from curette.learn.models.fit import Fitted
from curette.registry import register
from curette.task import Task


@register("model", "basic_unet", kinds=("segmentation",), paper="Falk et al., U-Net, 2019")
def basic_unet(
    task: Task,
    channels: int,
    *,
    features: tuple[int, ...] = (32, 32, 64, 128, 256, 32),
    dropout: float = 0.1,
) -> nn.Module:
    """MONAI's BasicUNet: wide at full resolution, plain 1×1 head. Accurate, and several times slower than `unet`."""
    network = nets.BasicUNet(task.dims, channels, len(task.classes), features=features, dropout=dropout)
    return Fitted(network, network.down_4, multiple=16, head=network.final_conv)


@register("model", "monai_unet", kinds=("segmentation",), paper="Kerfoot et al., residual U-Net, 2018")
def monai_unet(
    task: Task,
    channels: int,
    *,
    widths: tuple[int, ...] = (16, 32, 64, 128),
    units: int = 2,
    dropout: float = 0.1,
) -> nn.Module:
    """MONAI's residual UNet. Its last block normalises the class channels: with few labels a class may vanish."""
    strides = [2] * (len(widths) - 1)
    network = nets.UNet(
        task.dims, channels, len(task.classes), widths, strides, num_res_units=units, dropout=dropout
    )
    deepest = network.model[1]
    while hasattr(deepest, "submodule") and isinstance(deepest.submodule, nn.Sequential):
        deepest = deepest.submodule[1]
    return Fitted(network, deepest.submodule, multiple=2 ** len(strides))
