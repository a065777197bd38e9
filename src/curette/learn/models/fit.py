"""A network that only takes image sizes that are multiples of something, made to take any."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import pad


class Fitted(nn.Module):
    """Pads images [B, channels, *S] with zeros up to multiples of `multiple`, and cuts the logits back to [B, C, *S]."""

    def __init__(
        self, network: nn.Module, deepest: nn.Module, *, multiple: int, head: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple
        # Not submodules of ours a second time, or their weights would be stored twice.
        object.__setattr__(self, "deepest", deepest)
        object.__setattr__(self, "head", head)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        missing = [-length % self.multiple for length in size]
        if any(missing):
            x = pad(x, [amount for length in reversed(missing) for amount in (0, length)])
        logits: Tensor = self.network(x)
        for axis, length in enumerate(size, start=2):
            logits = logits.narrow(axis, 0, length)
        return logits
