"""Working on a large tensor slab by slab, so that temporaries stay small whatever the images' size."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

CELLS = 1 << 18
"""Numbers in a slab: a megabyte in float32, which also fits a processor's cache."""

At = tuple[slice, ...]
"""Which slab of a pass [B, C, *S]; () for all of it."""


def blocks(logits: Tensor) -> Iterator[At]:
    """Slabs along the first axis of space, as indices; one empty index if the whole is small."""
    if logits.numel() <= CELLS or logits.ndim == 2:
        yield ()
        return
    length = logits.shape[2]
    step = max(1, CELLS * length // logits.numel())
    for start in range(0, length, step):
        yield slice(None), slice(None), slice(start, start + step)


def flat(at: At) -> At:
    """The same slab of a map without classes."""
    return at[1:]
