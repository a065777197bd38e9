"""What passes add up to: running sums, so that the dense maps of two passes are never held at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from curette.errors import SettingError
from curette.learn.agreement import Agreement
from curette.learn.blocks import At, blocks, flat, placed
from curette.learn.columns import Pass, outputs, wanted
from curette.learn.prediction import TWICE, Prediction
from curette.learn.slabs import Slab
from curette.region import Region
from curette.registry import Bound

_DENSE = frozenset({"mean", "member_entropy", "second_moment", "votes", "logits", "deviation"})
_EMPTY = 1e-30  # a class as improbable as this over a whole region is not there


class Sums:
    """Running sums over passes: one tensor per field asked for, whatever the number of passes.

    Add every pass, in slabs or, if `whole`, in one piece; if `twice`, run the passes once more and give them to `again`;
    then take the `prediction`. Columns that stack passes keep a few numbers a region of each, and `pair_dice` a few bits a
    pixel.
    """

    def __init__(self, needs: frozenset[str], images: Tensor, valid: Tensor | None) -> None:
        self.needs, self.images, self.valid = needs, images, valid
        self.columns = wanted(needs)
        self.heads = any(column.info.get("head") for column in self.columns.values())
        self.outputs = outputs(needs)
        self.twice = bool(needs & TWICE)
        self.whole = bool(self.columns) or "pair_dice" in needs
        self.count = 0
        self.totals: dict[str, Any] = {}
        self.stacks: dict[str, list[Tensor]] = {}
        self.features: tuple[Tensor, Tensor] | None = None
        self.said: dict[str, Tensor] = {}
        self.embedded = 0
        self.feature_map: Tensor | None = None
        self.missed: Tensor | None = None
        self.agreement: Agreement | None = None
        self.varied: bool | None = None
        self._mark: Tensor | None = None
        self._first: Tensor | None = None
        self._settled = False
        self._grid = images.shape[2:]
        self._dice: _SoftDice | None = None

    def add(self, slab: Slab, *, compare: bool = False) -> None:
        """Add one pass, or a slab of it. With `compare`, note whether any pass differs from the first."""
        logits, seen, *_ = slab
        if compare:
            self._compare(slab)
        self.count += slab.last
        if seen is not None:
            if self.missed is None:
                self.missed = torch.zeros((len(seen), *self._grid), device=seen.device)
            self.missed[:, slab.rows].add_(~seen)
        for at, place in self._places(slab):
            p = self._dense(logits[at or ...].float(), None if seen is None else seen[flat(at) or ...], place)
        if "pair_dice" in self.needs:
            if self.agreement is None:
                self.agreement = Agreement(logits.shape[1], self.valid)
            self.agreement.add(logits, seen)
        if self.columns:
            whole = logits.float()
            self._columns(whole, p if not at else whole.softmax(1), seen)

    def again(self, slab: Slab) -> None:
        """Add one pass, or a slab, of the second round, the same as in the first, to what compares passes with their mean."""
        self._settle()
        logits, seen, *_ = slab
        mean, valid = self.totals["mean"], self._valid()
        dice = self._dice = self._dice or _SoftDice(logits)
        for at, place in self._places(slab):
            p, q = logits[at or ...].float().softmax(1), mean[place or ...]
            if "deviation" in self.needs:
                apart = (p - q).abs()
                self._sum(
                    "deviation", apart if seen is None else apart * seen[flat(at) or ...][:, None], place
                )
            if "soft_dice" in self.needs:
                dice.add(p, q, None if valid is None else valid[flat(place) or ...])
        if slab.last:
            self._dice = None
            if "soft_dice" in self.needs:
                self._sum("soft_dice", dice.value())

    def embed(self, features: Tensor) -> None:
        """Add one pass's deepest features [B, d, *s], averaged over space; keep the map of the first pass if it is needed."""
        if "feature_map" in self.needs:
            if self.embedded > self.count or len(features) > len(self.images):
                raise _cut("A map of features is")
            if self.feature_map is None:
                self.feature_map = features.float().clone()
        rows = features.float().reshape(*features.shape[:2], -1).mean(2)
        windows = rows.reshape(
            -1, len(self.images), rows.shape[1]
        )  # of each image, where several go through together
        self.embedded += len(windows)
        self._sum("embedding", windows.sum(0))

    def look(self, features: Tensor, scores: Tensor) -> None:
        """Note what the head was given in the pass under way, and what it made of it."""
        if self.features is not None or len(features) > len(self.images):
            raise _cut(f"{' and '.join(n for n, c in self.columns.items() if c.info.get('head'))} is")
        self.features = features.float(), scores.float()

    def hear(self, said: dict[str, Tensor]) -> None:
        """Note what companions said in the pass under way."""
        if self.said:
            raise _cut(f"{' and '.join(n for n, c in self.columns.items() if c.info.get('outputs'))} is")
        self.said = {name: said[name].float() for name in sorted(self.outputs)}

    def prediction(self, regions: Sequence[Region], passes: Bound) -> Prediction:
        """Divide by the number of passes. Raises `SettingError` if compared passes all agreed."""
        if self.varied is False:
            raise SettingError(
                f"The passes '{passes}' give the same logits every time, so nothing can disagree: the network has no "
                "active dropout. Set the network's option 'dropout' above 0 (train.options), or use other passes."
            )
        self._settle()
        for name in TWICE & self.totals.keys():
            self._divide(name)
        columns = {n: self.totals.pop(f"column {n}") for n in self.columns if n not in self.stacks}
        for name, parts in self.stacks.items():
            stacked = self.columns[name].info.get("combine") == "stack"
            columns[name] = torch.stack(parts, dim=1) if stacked else parts[0]
        if self.agreement is not None:
            self.totals["pair_dice"] = self.agreement.mean()
        return Prediction(
            regions=regions,
            passes=self.count,
            valid=self._valid(),
            feature_map=self.feature_map,
            image=self.images if "image" in self.needs else None,
            columns=columns,
            **self.totals,
        )

    def _dense(self, logits: Tensor, seen: Tensor | None, at: At) -> Tensor:
        """Add a block of a pass to the dense fields, and return its probabilities."""
        if "member_entropy" in self.needs:
            logs = logits.log_softmax(1)  # logs of probabilities would lose what underflows to 0
            p = logs.exp()
            self._sum("member_entropy", _masked(-(logs.mul_(p)).sum(1), seen), flat(at))
        else:
            p = logits.softmax(1)
        weight = None if seen is None else seen[:, None]
        if "second_moment" in self.needs:
            self._sum("second_moment", _masked(p.square(), weight), at)
        if "votes" in self.needs:
            self._sum("votes", _masked(one_vote(logits), weight), at)
        if "logits" in self.needs:
            self._sum("logits", _masked(logits.clone(), weight), at)
        self._sum("mean", _masked(p.clone() if self.columns else p, weight), at)
        return p

    def _columns(self, logits: Tensor, p: Tensor, seen: Tensor | None) -> None:
        valid = seen if self.valid is None else self.valid if seen is None else self.valid & seen
        features, scores = self.features if self.features is not None else (None, None)
        shown = Pass(self.images, p, logits, valid, features, scores, self.said)
        self.features, self.said = None, {}
        for name, column in self.columns.items():
            combine = column.info.get("combine", "mean")
            if combine == "mean":
                self._sum(f"column {name}", column.function(shown).clone())
            elif combine == "stack" or name not in self.stacks:
                self.stacks.setdefault(name, []).append(column.function(shown).clone())

    def _sum(self, name: str, term: Tensor, at: At = ()) -> None:
        if not at:
            if name in self.totals:
                self.totals[name].add_(term)
            else:
                self.totals[name] = term
            return
        if name not in self.totals:
            self.totals[name] = term.new_zeros((*term.shape[: len(at) - 1], *self._grid))
        self.totals[name][at].add_(term)

    def _places(self, slab: Slab) -> Iterator[tuple[At, At]]:
        """Blocks of a slab, each with where it lies in the whole."""
        length = self._grid[0] if self._grid else 0
        for at in blocks(slab.logits):
            yield at, placed(at, slab.logits, slab.start, length)

    def _compare(self, slab: Slab) -> None:
        if self.varied:
            return
        # Sums of all pixels in double precision: equal passes have equal sums, and a copy of a pass need not be kept.
        logits = slab.logits
        mark = logits.double() if logits.ndim == 2 else logits.sum(_space(logits), dtype=torch.float64)
        mark = mark if self._mark is None else self._mark + mark
        self._mark = None if slab.last else mark
        if not slab.last:
            return
        if self._first is None:
            self._first = mark
        else:
            self.varied = not torch.equal(self._first, mark)

    def _settle(self) -> None:
        """Turn the sums of the first round into means."""
        if not self._settled:
            self._settled = True
            for name in self.totals:
                self._divide(name)

    def _divide(self, name: str) -> None:
        total = self.totals[name]
        if name == "embedding":
            total.div_(self.embedded)
        elif self.missed is not None and name in _DENSE:
            times = (self.count - self.missed).clamp_(min=1)
            total.div_(times if total.ndim == times.ndim else times[:, None])
        elif self.count > 1:
            total.div_(self.count)

    def _valid(self) -> Tensor | None:
        """Pixels of the images that every pass could see."""
        if self.missed is None:
            return self.valid
        seen = self.missed == 0
        return seen if self.valid is None else self.valid & seen


class _SoftDice:
    """Soft Dice [B, C] of a pass with the mean, block by block; 1 where both are empty."""

    def __init__(self, logits: Tensor) -> None:
        self.both, self.size = (
            torch.zeros(logits.shape[:2], dtype=torch.float64, device=logits.device) for _ in range(2)
        )

    def add(self, p: Tensor, q: Tensor, valid: Tensor | None) -> None:
        if valid is not None:
            p, q = p * valid[:, None], q * valid[:, None]
        for total, term in ((self.both, p * q), (self.size, p + q)):
            total += term if term.ndim == 2 else term.sum(_space(term), dtype=torch.float64)

    def value(self) -> Tensor:
        empty = self.size < _EMPTY
        return torch.where(empty, 1.0, 2 * self.both / self.size.clamp(min=_EMPTY)).float()


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


def _cut(what: str) -> SettingError:
    return SettingError(
        f"{what} needed of whole images, and the passes 'windows' cut them up. Use them without 'windows'."
    )


def _space(term: Tensor) -> tuple[int, ...]:
    """The axes of space."""
    return tuple(range(2, term.ndim))


def _masked(term: Tensor, seen: Tensor | None) -> Tensor:
    return term if seen is None else term * seen
