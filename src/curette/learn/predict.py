"""One streaming sweep: run the passes batch by batch and keep only sums, and only those that somebody asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from curette.errors import SettingError
from curette.learn.columns import Pass, wanted
from curette.learn.fuse import fused
from curette.learn.layout import layout
from curette.learn.learner import Images
from curette.learn.passes import members
from curette.learn.prediction import Prediction
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
    the passes need more networks than there are, when a column needs a head that a network does not have, or when passes
    that should vary give equal logits on the first batch.
    """
    wanted(needs)
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
            mask = None if valid is None else torch.from_numpy(valid).to(device)
            sums = Sums(needs, x, mask)
            with _watch(networks, sums), torch.autocast(device.type, half, enabled=half is not None):
                for logits in passes(networks, x, generator):
                    sums.add(logits, compare=start == 0 and bool(passes.component.info.get("stochastic")))
            yield sums.prediction(chosen, passes)


class Sums:
    """Running sums over passes: one tensor per field asked for, whatever the number of passes.

    Columns that stack passes are the exception; they hold a few numbers a region.
    """

    def __init__(self, needs: frozenset[str], images: Tensor, valid: Tensor | None) -> None:
        self.needs, self.images, self.valid = needs, images, valid
        self.columns = wanted(needs)
        self.heads = any(column.info.get("head") for column in self.columns.values())
        self.stacks: dict[str, list[Tensor]] = {}
        self.seen: tuple[Tensor, Tensor] | None = None
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
        self._sum("mean", p.clone() if self.columns else p)
        if self.columns:
            self._columns(logits, p)

    def _columns(self, logits: Tensor, p: Tensor) -> None:
        features, scores = self.seen if self.seen is not None else (None, None)
        seen = Pass(self.images, p, logits, self.valid, features, scores)
        for name, column in self.columns.items():
            combine = column.info.get("combine", "mean")
            if combine == "mean":
                self._sum(f"column {name}", column.function(seen).clone())
            elif combine == "stack" or name not in self.stacks:
                self.stacks.setdefault(name, []).append(column.function(seen).clone())

    def embed(self, features: Tensor) -> None:
        """Add one pass's deepest features [B, d, *s], averaged over space."""
        self._sum("embedding", features.float().reshape(*features.shape[:2], -1).mean(2))

    def _sum(self, name: str, term: Tensor) -> None:
        if name in self.totals:
            self.totals[name].add_(term)
        else:
            self.totals[name] = term

    def look(self, features: Tensor, scores: Tensor) -> None:
        """Note what the head was given in the pass under way, and what it made of it."""
        self.seen = features.float(), scores.float()

    def prediction(self, regions: Sequence[Region], passes: Bound) -> Prediction:
        """Divide by the number of passes. Raises `SettingError` if compared passes all agreed."""
        if self.varied is False:
            raise SettingError(
                f"The passes '{passes}' give the same logits every time, so nothing can disagree: the network has no "
                "active dropout. Set the network's option 'dropout' above 0 (train.options), or use other passes."
            )
        if self.count > 1:
            for total in self.totals.values():
                total.div_(self.count)
        columns = {
            name: self.totals.pop(f"column {name}") for name in self.columns if name not in self.stacks
        }
        for name, parts in self.stacks.items():
            stacked = self.columns[name].info.get("combine") == "stack"
            columns[name] = torch.stack(parts, dim=1) if stacked else parts[0]
        return Prediction(
            regions=regions, passes=self.count, valid=self.valid, columns=columns, **self.totals
        )


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
    """While inside, every forward pass shows `sums` what it needs of the deepest encoder level and of the head."""

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        sums.embed(output)

    def look(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sums.look(inputs[0], output)

    hooks = []
    for network in networks:
        if "embedding" in sums.needs:
            hooks.append(network.deepest.register_forward_hook(note))  # type: ignore[union-attr]
        if sums.heads:
            hooks.append(_head(network, sums).register_forward_hook(look))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _head(network: nn.Module, sums: Sums) -> nn.Module:
    head = getattr(network, "head", None)
    if not isinstance(head, nn.Module):
        needed = ", ".join(name for name, column in sums.columns.items() if column.info.get("head"))
        raise SettingError(
            f"The network {type(network).__name__} does not end in a plain head, and '{needed}' looks at one. "
            "Use another strategy, or a network such as 'unet', 'basic_unet' or 'cnn' (train.model)."
        )
    return head
