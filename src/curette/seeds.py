"""Randomness: every generator is spawned from who asks (seed, cycle, purpose), never from a global state."""

from __future__ import annotations

import hashlib

import numpy as np


def spawn(seed: int, cycle: int, purpose: str) -> np.random.Generator:
    """Return the generator of (seed, cycle, purpose); `purpose` is the strategy's text or a word such as ``initial``."""
    return np.random.default_rng(np.random.SeedSequence([seed, cycle, _number(purpose)]))


def derive(seed: int, cycle: int, purpose: str) -> int:
    """Return a 63-bit seed of (seed, cycle, purpose), for `torch.Generator` and the like."""
    state = np.random.SeedSequence([seed, cycle, _number(purpose)]).generate_state(2, np.uint32)
    return int(state[0]) << 31 | int(state[1]) >> 1


def _number(purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")
