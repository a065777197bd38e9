from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curette.seeds import derive, spawn

words = st.text(max_size=20)
numbers = st.integers(0, 2**32)


@given(numbers, st.integers(0, 100), words)
def test_same_asker_same_stream(seed: int, cycle: int, purpose: str) -> None:
    assert np.array_equal(spawn(seed, cycle, purpose).random(4), spawn(seed, cycle, purpose).random(4))
    assert derive(seed, cycle, purpose) == derive(seed, cycle, purpose)


@given(st.lists(st.tuples(numbers, st.integers(0, 100), words), unique=True, min_size=2, max_size=20))
def test_different_askers_different_streams(askers: list[tuple[int, int, str]]) -> None:
    assert len({spawn(*asker).integers(2**62) for asker in askers}) == len(askers)
    assert len({derive(*asker) for asker in askers}) == len(askers)


@given(numbers, st.integers(0, 100), words)
def test_derived_seeds_fit_a_torch_generator(seed: int, cycle: int, purpose: str) -> None:
    assert 0 <= derive(seed, cycle, purpose) < 2**63


def test_streams_are_the_same_on_every_machine_and_release() -> None:
    """Written down once: another number means that no recorded study can be repeated."""
    assert spawn(0, 1, "random").integers(1_000_000) == 801_825
    assert derive(0, 1, "random") == 2_516_131_054_499_397_553


def test_global_generators_are_neither_used_nor_moved() -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = spawn(3, 4, "x").random()
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert spawn(3, 4, "x").random() == before
    np.random.seed(1)  # noqa: NPY002
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
