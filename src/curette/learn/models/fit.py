"""A network that only takes some image sizes, made to take any."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import pad


class Fitted(nn.Module):
    """Pads images [B, channels, *S] with zeros at their end, and cuts the logits back to [B, C, *S].

    The cut is before the head where there is one, so that whoever looks at what it was given sees the image alone.
    Each length becomes a multiple of `multiple` and at least `factor`, by which the network shrinks it on the way down (by
    default the same). An image that would be a single voxel on the deepest level gets twice that along the last axis: a
    norm has nothing to work on in one voxel.
    """

    def __init__(
        self,
        network: nn.Module,
        deepest: nn.Module,
        *,
        multiple: int,
        factor: int = 0,
        head: nn.Module | None = None,
        levels: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.network, self.multiple, self.factor = network, multiple, factor or multiple
        self.size: tuple[int, ...] = ()
        # Not submodules of ours a second time, or their weights would be stored twice.
        object.__setattr__(self, "deepest", deepest)
        object.__setattr__(self, "head", head)
        if head is not None:
            head.register_forward_pre_hook(self._before_head)

    def forward(self, x: Tensor) -> Tensor:
        self.size = tuple(x.shape[2:])
        missing = [more - length for more, length in zip(self.room(self.size), self.size, strict=True)]
        if any(missing):
            x = pad(x, [amount for lacking in reversed(missing) for amount in (0, lacking)])
        return self._cut(self.network(x))

    def _before_head(self, _head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self._cut(inputs[0]),)

    def _cut(self, x: Tensor) -> Tensor:
        for axis, length in enumerate(self.size, start=2):
            x = x.narrow(axis, 0, length)
        return x

    def room(self, size: tuple[int, ...]) -> list[int]:
        """The size that images of this size are padded to."""
        lengths = [max(length + -length % self.multiple, self.factor) for length in size]
        if max(lengths) < 2 * self.factor:
            lengths[-1] = 2 * self.factor
        return lengths
