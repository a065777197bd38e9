"""Passes over windows of an image that is too large for the network, or larger than what it was trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

from curette.errors import SettingError, unknown
from curette.learn.slabs import Slab, joined
from curette.registry import Bound, register

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor
    from torch.nn import Module

TOGETHER = 2**18
"""Most voxels of the windows in one forward pass. PyTorch's convolutions of a single small volume are slow ones: windows
of 32 × 48 × 32 take less than half as long in pairs. A large window goes by itself."""
HELD = 2**24
"""Voxels of an image beyond which windows go one by one: those that go together are copied, and wait between passes."""
_BLENDS = ("gaussian", "constant")
_Window = tuple[slice, ...]  # part of [B, C, *S]


def starts(length: int, size: int, stride: int) -> list[int]:
    """Where windows of `size` start along a side: every `stride` pixels, the last moved back to end with the side.

    A side shorter than a window is taken to be padded to one.
    """
    last = max(0, length - size)
    return [min(stride * i, last) for i in range(math.ceil(last / stride) + 1)]


Sides = int | tuple[int, ...]


def _check(passes: Bound, size: Sides, stride: Sides, blend: str) -> None:
    from curette.learn.passes import members

    if not isinstance(passes, Bound):
        raise SettingError("Passes 'windows' go around other passes. Write for example 'windows(flips)'.")
    sizes, strides = (n if isinstance(n, tuple) else (n,) for n in (size, stride))
    pairs = list(zip(sizes * len(strides), strides * len(sizes), strict=True))
    fit = len(sizes) == len(strides) or 1 in (len(sizes), len(strides))
    if not fit or not pairs or any(w < 1 or not 1 <= s <= w for w, s in pairs):
        raise SettingError(
            f"Passes 'windows': size is {size} and stride {stride}, but windows have 1 or more pixels a side and are 1 to "
            "that many pixels apart."
        )
    if blend not in _BLENDS:
        raise unknown("blend", blend, _BLENDS)
    members(passes)


@register(
    "passes",
    "windows",
    check=_check,
    members="passes",
    passes="passes",
    examples=("windows(flips, size=4, stride=3)", "windows(augment(2), size=5, stride=5, blend=constant)"),
    paper="PCDAL 2023, inference on volumes",
)
def windows(
    networks: Sequence[Module],
    images: Tensor,
    generator: Generator,
    *,
    passes: Bound,
    size: int | tuple[int, ...] = 96,
    stride: int | tuple[int, ...] = 64,
    blend: str = "gaussian",
) -> Iterator[Slab]:
    """Other passes over overlapping windows, ``windows(flips)``, put together to logits of the whole image.

    Windows of `size` pixels along each axis of space (one number, or one an axis) start every `stride` pixels, the last
    ones moved back to the border;
    images shorter than a window are padded with zeros on both sides. Whatever the passes do to an image (mirror, turn,
    drop) they do to each window by itself. Where windows overlap, their logits are averaged, with more weight on what
    lies in the middle of a window (`blend` ``gaussian``, standard deviation an eighth of its size) or not (``constant``). Class
    logits are averaged over windows. Raises `SettingError` for impossible windows.

    The code released with PCDAL (96 voxels, every 64) scores each window by itself and averages the windows' scores, so
    that voxels in overlaps count several times and padding counts too. curette puts probabilities together first and
    counts every voxel once; without overlap and padding both are the same.
    """
    import torch
    from torch.nn.functional import pad

    from curette.learn.layout import layout

    shape = images.shape[2:]
    size, stride = (_each(n, len(shape)) for n in (size, stride))
    before = [max(0, window - side) // 2 for window, side in zip(size, shape, strict=True)]
    after = [max(0, w - side) - b for w, side, b in zip(size, shape, before, strict=True)]
    sides = [p for pair in zip(reversed(before), reversed(after), strict=True) for p in pair]
    padded = pad(images, sides) if any(sides) else images
    inner = _window((b, b + side) for b, side in zip(before, shape, strict=True))
    along = [starts(*sides) for sides in zip(shape, size, stride, strict=True)]
    firsts = along[0]
    places = [_window((a, a + w) for a, w in zip(corner, size, strict=True)) for corner in product(*along)]
    weight = _weight(size, blend).to(images.device)
    layer = len(places) // len(firsts)  # windows that start in the same row
    most = max(1, TOGETHER // (len(images) * math.prod(size))) if padded[:, 0].numel() <= HELD else 1
    rows = [places[i : i + layer] for i in range(0, len(places), layer)]
    groups = [[row[i : i + most] for i in range(0, layer, most)] for row in rows]

    def run(group: list[_Window]) -> Iterator[Slab]:
        alone = len(group) == 1
        x = padded[group[0]] if alone else layout(torch.cat([padded[place] for place in group]))
        return joined(passes(networks, x, generator))

    running = [[run(group) for group in row] for row in groups]
    while True:
        front = _Front(padded.shape[2:], inner, weight)
        for row, waiting, end in zip(groups, running, [*firsts[1:], padded.shape[2]], strict=True):
            for group, asked in zip(row, waiting, strict=True):
                made = next(asked, None)
                if made is None:  # all windows end with the same pass
                    return
                for place, part in zip(group, _apart(made, len(group)), strict=True):
                    front.add(part, place)
                del made, part
            slab = front.finish(end)
            if slab is not None:
                yield slab
            del slab


def _apart(made: Slab, windows: int) -> Iterator[Slab]:
    """What the passes make of each of several windows that went through them together."""
    count = len(made.logits) // windows
    for i in range(windows):
        own = slice(i * count, (i + 1) * count)
        yield Slab(made.logits[own], None if made.seen is None else made.seen[own])


def _each(sides: Sides, dims: int) -> tuple[int, ...]:
    """One number for each axis. Raises `SettingError` where there are others than axes."""
    found = sides if isinstance(sides, tuple) else (sides,) * dims
    if len(found) != dims:
        raise SettingError(
            f"Passes 'windows': {list(found)} has {len(found)} numbers for images of {dims} axes."
        )
    return found


def _window(bounds: Iterable[tuple[int, int]]) -> _Window:
    return (slice(None), slice(None), *(slice(a, b) for a, b in bounds))


class _Front:
    """One pass over all windows, as they come from the first row to the last: logits summed where windows still overlap,
    and the weight they have there. Rows that no further window reaches are done and let go."""

    def __init__(self, shape: Sequence[int], inner: _Window, weight: Tensor) -> None:
        self.shape, self.inner, self.weight = shape, inner, weight
        self.row = 0  # of the padded image, where the sums begin
        self.windows = 0
        self.total: Tensor | None = None
        self.norm: Tensor | None = None
        self.partly = False

    def add(self, made: Slab, place: _Window) -> None:
        """Add what the passes make of the window at `place`."""
        logits, seen, *_ = made
        self.windows += 1
        if logits.ndim == 2:
            self.total = logits.clone() if self.total is None else self.total.add_(logits)
            return
        if self.total is None or self.norm is None:
            self.total = logits.new_zeros((*logits.shape[:2], *self._rest()), dtype=_kind(logits))
            self.norm = self.total.new_zeros((len(logits), 1, *self._rest()))
        weight = self.weight.to(self.total.dtype)
        if seen is not None:
            self.partly = True
            weight = weight * seen[:, None]
        here = (slice(None), slice(None), slice(0, len(self.weight)), *place[3:])
        self.total[here] += logits * weight
        self.norm[here] += weight

    def finish(self, row: int) -> Slab | None:
        """The rows before `row`, without padding, and which of their pixels some window could see, if that is not all."""
        assert self.total is not None
        last = row == self.shape[0]
        if self.norm is None:
            return Slab(self.total / self.windows) if last else None
        done = row - self.row
        total, norm = self.total[:, :, :done], self.norm[:, :, :done]
        total /= norm.clamp(min=1e-12)
        inside = self.inner[2]
        rows = slice(max(inside.start - self.row, 0), max(min(inside.stop - self.row, done), 0))
        part = (slice(None), slice(None), rows, *self.inner[3:])
        slab = Slab(
            total[part],
            norm[part][:, 0] > 0 if self.partly else None,
            max(self.row - inside.start, 0),
            last,
        )
        self._advance(row, last)
        return slab

    def _advance(self, row: int, last: bool) -> None:
        """Begin the sums at another row, with what windows have said of it and the rows behind it already."""
        done, self.row = row - self.row, row
        if last:
            self.total = self.norm = None
            return
        for name in ("total", "norm"):
            old = getattr(self, name)
            new = old.new_zeros(old.shape)
            new[:, :, : old.shape[2] - done] = old[:, :, done:]
            setattr(self, name, new)

    def _rest(self) -> tuple[int, ...]:
        """Shape of the sums: as many rows as a window has, and the other axes of the padded image."""
        return len(self.weight), *self.shape[1:]


def _weight(size: Sequence[int], blend: str) -> Tensor:
    """Weight of each pixel of a window [*size], above 0 everywhere; as MONAI's inferer has it."""
    import torch

    weight = torch.ones(())
    for side in size if blend == "gaussian" else ():
        line = torch.exp(-0.5 * ((torch.arange(side) - (side - 1) / 2) / (side / 8)) ** 2)
        weight = weight[..., None] * line
    return weight.clamp(min=1e-3) if blend == "gaussian" else torch.ones(tuple(size))


def _kind(logits: Tensor) -> torch.dtype:
    import torch

    return torch.float64 if logits.dtype == torch.float64 else torch.float32
