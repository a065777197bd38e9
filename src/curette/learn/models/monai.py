"""Networks of MONAI under one contract, to compare with."""

from __future__ import annotations

from monai.networks import nets
from torch import Tensor, nn

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
    levels = (network.conv_0, network.down_1, network.down_2, network.down_3, network.down_4)
    return Fitted(network, network.down_4, multiple=16, head=network.final_conv, levels=levels)


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
    levels = _nested(network.model)
    return Fitted(network, levels[-1], multiple=2 ** len(strides), levels=levels)


def _nested(block: nn.Module) -> tuple[nn.Module, ...]:
    """The encoder's levels of a network that MONAI nests: a level, what is below it, and what brings it up again."""
    if not isinstance(block, nn.Sequential):
        return (block,)
    below: nn.Module = block[1].submodule  # type: ignore[assignment]
    return (block[0], *_nested(below))


class _First(nn.Module):
    """The first of the outputs that a network gives as a list."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[0]  # type: ignore[no-any-return]


@register(
    "model",
    "unet_plus_plus",
    kinds=("segmentation",),
    paper="Zhou et al. 2018, UNet++: a nested U-Net architecture",
)
def unet_plus_plus(
    task: Task,
    channels: int,
    *,
    features: tuple[int, ...] = (32, 64, 128, 256, 512, 32),
    dropout: float = 0.1,
) -> nn.Module:
    """U-Net++, nested U-Nets of every depth with dense connections; a backbone of SBC-AL.

    MONAI's BasicUNetPlusPlus with the paper's widths, batch norm and ReLU. Without deep supervision: the logits are those
    of the deepest path, and the heads of the others, which nothing would train, are left out.
    """
    network = nets.BasicUNetPlusPlus(
        task.dims,
        channels,
        len(task.classes),
        features=features,
        act=("relu", {"inplace": True}),
        norm="batch",
        bias=False,
        dropout=dropout,
    )
    for unused in ("final_conv_0_1", "final_conv_0_2", "final_conv_0_3"):
        setattr(network, unused, nn.Identity())
    levels = tuple(getattr(network, f"conv_{depth}_0") for depth in range(5))
    return Fitted(_First(network), network.conv_4_0, multiple=16, head=network.final_conv_0_4, levels=levels)


@register(
    "model",
    "attention_unet",
    kinds=("segmentation",),
    paper="Oktay et al. 2018, Attention U-Net: learning where to look for the pancreas",
)
def attention_unet(
    task: Task,
    channels: int,
    *,
    widths: tuple[int, ...] = (32, 64, 128, 256, 512),
    dropout: float = 0.1,
) -> nn.Module:
    """Attention U-Net: gates on the skip connections, opened by the level below; a backbone of SBC-AL.

    MONAI's AttentionUnet, which halves by strided convolutions where the paper pools.
    """
    strides = [2] * (len(widths) - 1)
    network = nets.AttentionUnet(task.dims, channels, len(task.classes), widths, strides, dropout=dropout)
    levels = _nested(network.model)
    return Fitted(network, levels[-1], multiple=2 ** len(strides), head=network.model[2].conv, levels=levels)
