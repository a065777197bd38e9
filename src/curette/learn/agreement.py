"""How far the masks of several passes overlap, pair by pair, without keeping a dense map of any of them.

A pass leaves behind the bits of its class numbers only, eight pixels a byte: four classes take a quarter of a byte a
pixel, where float32 probabilities take sixteen bytes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from curette.learn.blocks import blocks, flat

_BLOCK = 1 << 20  # bytes looked at in one go


class Agreement:
    """Dice between the arg-max masks of passes over B regions, summed pair by pair as passes are added."""

    def __init__(self, classes: int, valid: Tensor | None) -> None:
        self.classes = classes
        self.valid = None if valid is None else pack(valid)
        self.masks: list[tuple[list[Tensor], Tensor]] = []
        self.total: Tensor | None = None

    def add(self, logits: Tensor, seen: Tensor | None = None) -> None:
        """Add a pass, logits [B, C, *S], that could see only the pixels `seen` [B, *S]; None: all."""
        label = label_of(logits)
        bits = max(1, (self.classes - 1).bit_length())
        planes = [pack((label >> bit & 1).bool()) for bit in range(bits)]
        # Bits that fill the last byte up are no pixels, so there is always a mask of what counts.
        inside = pack(torch.ones_like(label, dtype=torch.bool) if seen is None else seen)
        if self.valid is not None:
            inside &= self.valid
        if self.total is None:
            self.total = torch.zeros(len(label), self.classes, dtype=torch.float64, device=label.device)
        for earlier in self.masks:
            self.total += self._dice(earlier, (planes, inside))
        self.masks.append((planes, inside))

    def mean(self) -> Tensor:
        """Dice [B, C] averaged over all pairs; 1 if there is none."""
        assert self.total is not None, "no pass was added"
        passes = len(self.masks)
        if passes < 2:
            return torch.ones_like(self.total, dtype=torch.float32)
        return (self.total / (passes * (passes - 1) / 2)).float()

    def _dice(self, one: tuple[list[Tensor], Tensor], other: tuple[list[Tensor], Tensor]) -> Tensor:
        both = torch.zeros(len(one[1]), self.classes, dtype=torch.int64, device=one[1].device)
        size = torch.zeros_like(both)
        for start in range(0, one[1].shape[1], _BLOCK):
            at = slice(start, start + _BLOCK)
            inside = one[1][:, at] & other[1][:, at]
            for cls in range(self.classes):
                a, b = (_mask([p[:, at] for p in planes], cls) & inside for planes, _ in (one, other))
                both[:, cls] += ones(a & b)
                size[:, cls] += ones(a) + ones(b)
        return torch.where(size > 0, 2 * both / size.clamp(min=1).double(), 1.0)


def label_of(logits: Tensor) -> Tensor:
    """The class of the largest logit, the first of equals, [B, C, *S] → [B, *S]; one comparison a class."""
    kind = torch.uint8 if logits.shape[1] <= 256 else torch.int32
    label = torch.zeros((len(logits), *logits.shape[2:]), dtype=kind, device=logits.device)
    for at in blocks(logits):
        part, found = logits[at or ...], label[flat(at) or ...]
        best = part[:, 0]
        for cls in range(1, logits.shape[1]):
            found.masked_fill_(part[:, cls] > best, cls)
            best = torch.maximum(best, part[:, cls])
    return label


def pack(mask: Tensor) -> Tensor:
    """Eight pixels a byte: bool [B, *S] → uint8 [B, ceil(pixels / 8)], filled up with zeros."""
    flat = mask.reshape(len(mask), -1)
    if short := -flat.shape[1] % 8:
        flat = torch.nn.functional.pad(flat, (0, short))
    packed = torch.zeros(len(flat), flat.shape[1] // 8, dtype=torch.uint8, device=mask.device)
    for bit in range(8):
        packed |= flat[:, bit::8].to(torch.uint8) << bit
    return packed


def ones(packed: Tensor) -> Tensor:
    """Number of set bits of each row [B]."""
    x = packed - (packed >> 1 & 0x55)
    x = (x & 0x33) + (x >> 2 & 0x33)
    return ((x + (x >> 4)) & 0x0F).sum(1)


def _mask(planes: list[Tensor], cls: int) -> Tensor:
    """Where the packed class number is `cls`; also set in bits that are no pixels if `cls` is 0."""
    found = torch.full_like(planes[0], 0xFF)
    for bit, plane in enumerate(planes):
        found &= plane if cls >> bit & 1 else ~plane
    return found
