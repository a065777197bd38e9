"""ResNets for the classification of whole images, and U-Nets with a ResNet as their encoder."""

from __future__ import annotations

from collections.abc import Callable

from monai.networks import nets
from monai.networks.nets.flexible_unet import UNetDecoder
from torch import Tensor, nn
from torch.nn.functional import pad

from curette.errors import SettingError
from curette.learn.models.cnn import Classifier
from curette.learn.models.fit import Fitted
from curette.learn.models.pretrained import Shifted, load, normalisation
from curette.registry import register
from curette.task import Task

_BUILD = {18: nets.resnet18, 34: nets.resnet34, 50: nets.resnet50}
_WIDTHS = {18: (64, 64, 128, 256, 512), 34: (64, 64, 128, 256, 512), 50: (64, 256, 512, 1024, 2048)}
_DECODER = (256, 128, 64, 32, 16)
_HE = "He et al. 2016, Deep residual learning for image recognition"
_NORMALISE = """`normalise` is "imagenet" (images less its means, by its deviations), "none"
    (they stay between 0 and 1), or "auto", by the weights: "imagenet" for those of that name, otherwise "none"; with a file
    of torchvision's weights say "imagenet"."""


class Widened(nn.Module):
    """A shortcut without weights: every n-th voxel, and zeros for the channels that are new."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: Tensor) -> Tensor:
        for axis in range(2, x.ndim):
            x = x[(slice(None),) * axis + (slice(None, None, self.stride),)]
        return pad(x, [*(0, 0) * (x.ndim - 2), 0, self.channels - x.shape[1]])


def levels(
    depth: int, dims: int, channels: int, *, stem: int = 2, pretrained: str = "", normalise: str = "none"
) -> tuple[list[nn.Module], tuple[int, ...]]:
    """The five levels of a ResNet, each half as long a side as the one before (the first as `stem` says), and their widths.

    It has torchvision's layout: strides in the 3×3 convolutions, projections without bias. In 3D, ResNet-18 and -34 widen
    their shortcuts with zeros, as MedicalNet's do. MedicalNet dilates its last two levels instead of halving them; here
    they are halved, as in MONAI.
    """
    if stem not in (1, 2):
        raise SettingError(f"The network's stem is {stem}; its stride is 2, or 1 for small images.")
    plain = dims == 3 and depth < 50
    network = _BUILD[depth](
        spatial_dims=dims,
        n_input_channels=channels,
        conv1_t_stride=stem,
        shortcut_type="A" if plain else "B",
        bias_downsample=False,
        feed_forward=False,
    )
    if plain:  # MONAI's own function lets no gradient through
        for layer in (network.layer2, network.layer3, network.layer4):
            layer[0].downsample = Widened(layer[0].conv2.out_channels, layer[0].stride)
    if pretrained:
        load(network, pretrained, dims=dims, depth=depth)
    first = nn.Sequential(network.conv1, network.bn1, network.act)
    if normalisation(pretrained, normalise) == "imagenet":
        first = Shifted(*first, channels=channels, dims=dims)
    second = nn.Sequential(network.maxpool, network.layer1)
    return [first, second, network.layer2, network.layer3, network.layer4], _WIDTHS[depth]


class EncoderUNet(nn.Module):
    """Encoder levels, MONAI's U-Net decoder over them, dropout, and a 1×1 head, for sizes that 32 divides."""

    def __init__(
        self,
        dims: int,
        channels: int,
        classes: int,
        encoder: tuple[list[nn.Module], tuple[int, ...]],
        dropout: float,
    ) -> None:
        super().__init__()
        parts, widths = encoder
        self.encoder = nn.ModuleList(parts)
        self.decoder = UNetDecoder(
            dims,
            (channels, *widths),
            _DECODER,
            act=("relu", {"inplace": True}),
            norm="batch",
            dropout=0.0,
            bias=False,
            upsample="nontrainable",
            pre_conv=None,
            interp_mode="nearest",
            align_corners=None,
            is_pad=False,
        )
        self.drop = nn.Dropout(dropout)
        self.head = getattr(nn, f"Conv{dims}d")(_DECODER[-1], classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for level in self.encoder:
            x = level(x)
            found.append(x)
        return self.head(self.drop(self.decoder(found)))  # type: ignore[no-any-return]


def _classifier(depth: int, used: str) -> Callable[..., nn.Module]:
    def resnet(
        task: Task,
        channels: int,
        *,
        dropout: float = 0.2,
        stem: int = 2,
        pretrained: str = "",
        normalise: str = "auto",
    ) -> nn.Module:
        parts, widths = levels(
            depth, task.dims, channels, stem=stem, pretrained=pretrained, normalise=normalise
        )
        return Classifier(nn.Sequential(*parts), widths[-1], len(task.classes), dropout)

    resnet.__doc__ = f"""ResNet-{depth}{used}, with dropout before its linear layer.

    `stem` is the stride of the first convolution: 2 as published, 1 for images of a few dozen voxels. `pretrained` is
    "imagenet" (2D), "medicalnet" (3D) or a file of weights, relative to the working directory; without it they are
    random. {_NORMALISE}
    """
    return _named(resnet, f"resnet{depth}")


def _unet(depth: int, used: str) -> Callable[..., nn.Module]:
    def unet(
        task: Task, channels: int, *, dropout: float = 0.1, pretrained: str = "", normalise: str = "auto"
    ) -> nn.Module:
        encoder = levels(depth, task.dims, channels, pretrained=pretrained, normalise=normalise)
        network = EncoderUNet(task.dims, channels, len(task.classes), encoder, dropout)
        return Fitted(
            network, network.encoder[-1], multiple=32, head=network.head, levels=tuple(network.encoder)
        )

    unet.__doc__ = f"""U-Net with a ResNet-{depth} as encoder{used}, built like segmentation_models.pytorch's.

    Nearest upsampling, concatenation, two 3×3 convolutions with batch norm a level (256, 128, 64, 32, 16 channels).
    Deliberate differences: the head is a 1×1 convolution, not 3×3, so that gradients of its weights are those of single
    pixels; and there is dropout before it (0 switches it off). `pretrained` is "imagenet" (2D), "medicalnet" (3D) or a
    file of weights for the encoder; without it they are random. {_NORMALISE}
    """
    return _named(unet, f"resnet{depth}_unet")


def _named(function: Callable[..., nn.Module], name: str) -> Callable[..., nn.Module]:
    """The registry tells functions apart by their qualified name."""
    function.__name__ = function.__qualname__ = name
    return function


for _depth, _used in ((18, ""), (34, ", PCDAL's classifier"), (50, "")):
    register("model", f"resnet{_depth}", kinds=("classification",), paper=_HE)(_classifier(_depth, _used))
for _depth, _used in ((18, ", as for melanoma"), (34, ", as in PCDAL"), (50, ", as in PAAL")):
    register(
        "model",
        f"resnet{_depth}_unet",
        kinds=("segmentation",),
        paper="Ronneberger et al. 2015 with the encoder of He et al. 2016",
    )(_unet(_depth, _used))
