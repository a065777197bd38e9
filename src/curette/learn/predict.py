"""One streaming sweep: run the passes batch by batch and keep only sums, and only those that somebody asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from curette.errors import ContractError, SettingError
from curette.learn.fuse import fused
from curette.learn.layout import layout
from curette.learn.learner import Images
from curette.learn.passes import members
from curette.learn.prediction import NEEDS, Prediction
from curette.region import Region
from curette.registry import Bound


def predict(
    networks: Sequence[nn.Module],
    images: Images,
    regions: Sequence[Region],
    passes: Bound,
    needs: frozenset[str],
    *,
    batch: int,
    seed: int,
    device: torch.device,
    precision: str = "32-true",
) -> Iterator[Prediction]:
    """Yield predictions of `batch` regions at a time, in the order given, as float32 tensors on `device`.

    The same regions, batch size and seed give the same predictions, random passes included. Raises `SettingError` when
    the passes need more networks than there are, or when passes that should vary give equal logits on the first batch.
    """
    if unknown := needs - NEEDS:
        raise ContractError(f"No prediction has {sorted(unknown)}; known are {sorted(NEEDS)}.")
    if members(passes) > len(networks):
        raise SettingError(
            f"The passes '{passes}' need {members(passes)} networks, but the model holds {len(networks)}. "
            "Train it with more members."
        )
    generator = torch.Generator(device).manual_seed(seed)
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    networks = [fused(network) for network in networks]
    for start in range(0, len(regions), batch):
        chosen = regions[start : start + batch]
        array, valid = images.batch(chosen)
        x = layout(torch.from_numpy(array).to(device))
        with torch.inference_mode():
            sums = Sums(needs)
            with _watch(networks, sums), torch.autocast(device.type, half, enabled=half is not None):
                for logits in passes(networks, x, generator):
                    sums.add(logits, compare=start == 0 and bool(passes.component.info.get("stochastic")))
            mask = None if valid is None else torch.from_numpy(valid).to(device)
            yield sums.prediction(chosen, mask, passes)


class Sums:
    """Running sums over passes: one tensor per field asked for, whatever the number of passes."""

    def __init__(self, needs: frozenset[str]) -> None:
        self.needs = needs
        self.count = 0
        self.totals: dict[str, Any] = {}
        self._first: Tensor | None = None
        self.varied: bool | None = None

    def add(self, logits: Tensor, *, compare: bool = False) -> None:
        """Add one pass: logits [B, C, *S]. With `compare`, note whether any pass differs from the first."""
        logits = logits.float()
        if compare:
            if self._first is None:
                self._first = logits
            else:
                self.varied = bool(self.varied) or not torch.equal(self._first, logits)
        self.count += 1
        if "member_entropy" in self.needs:
            logs = logits.log_softmax(1)  # logs of probabilities would lose what underflows to 0
            p = logs.exp()
            self._sum("member_entropy", -(p * logs).sum(1))
        else:
            p = logits.softmax(1)
        if "second_moment" in self.needs:
            self._sum("second_moment", p.square())
        if "votes" in self.needs:
            self._sum("votes", one_vote(logits))
        if "logits" in self.needs:
            self._sum("logits", logits.clone())
        self._sum("mean", p)

    def embed(self, features: Tensor) -> None:
        """Add one pass's deepest features [B, d, *s], averaged over space."""
        self._sum("embedding", features.float().reshape(*features.shape[:2], -1).mean(2))

    def _sum(self, name: str, term: Tensor) -> None:
        if name in self.totals:
            self.totals[name].add_(term)
        else:
            self.totals[name] = term

    def prediction(self, regions: Sequence[Region], valid: Tensor | None, passes: Bound) -> Prediction:
        """Divide by the number of passes. Raises `SettingError` if compared passes all agreed."""
        if self.varied is False:
            raise SettingError(
                f"The passes '{passes}' give the same logits every time, so nothing can disagree: the network has no "
                "active dropout. Set the network's option 'dropout' above 0 (train.options), or use other passes."
            )
        if self.count > 1:
            for total in self.totals.values():
                total.div_(self.count)
        return Prediction(regions=regions, passes=self.count, valid=valid, **self.totals)


def one_vote(logits: Tensor) -> Tensor:
    """Return 1 for the largest of the classes (the first of equals) and 0 for the others, [B, C, *S].

    One comparison a class: an arg max across channels takes as long on CPUs as half a forward pass.
    """
    largest, votes = logits.amax(1), torch.zeros_like(logits)
    free = torch.ones_like(largest, dtype=torch.bool)
    for cls in range(logits.shape[1]):
        hit = (logits[:, cls] == largest) & free
        votes[:, cls] = hit
        free &= ~hit
    return votes


@contextmanager
def _watch(networks: Sequence[nn.Module], sums: Sums) -> Iterator[None]:
    """While inside, every forward pass adds the output of the network's deepest encoder level to `sums`."""
    if "embedding" not in sums.needs:
        yield
        return

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        sums.embed(output)

    hooks = [network.deepest.register_forward_hook(note) for network in networks]  # type: ignore[union-attr]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
