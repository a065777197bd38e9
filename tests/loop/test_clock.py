from __future__ import annotations

import numpy as np
import pytest

from curette.loop import clock
from curette.loop.clock import timed

MB = 40


def _use_memory() -> None:
    big = np.ones(MB * 1024 * 1024 // 8)
    big[::512] += 1


@pytest.mark.parametrize("kernel", [True, False])
def test_the_peak_of_a_stage_is_its_own(monkeypatch: pytest.MonkeyPatch, kernel: bool) -> None:
    if not kernel:
        monkeypatch.setattr(clock._KernelPeak, "reset", staticmethod(lambda: False))
    with timed("hungry") as hungry:
        _use_memory()
        kept = np.ones(MB * 1024 * 1024 // 8)
        with timed("inner") as inner:
            pass
    del kept
    with timed("modest") as modest:
        pass
    assert (hungry.stage, inner.stage, modest.stage) == ("hungry", "inner", "modest")
    assert hungry.peak_mb > modest.peak_mb + MB / 2
    assert inner.peak_mb > modest.peak_mb + MB / 2
    assert hungry.seconds >= inner.seconds > 0


def test_a_stage_that_fails_is_timed_too() -> None:
    with pytest.raises(ZeroDivisionError), timed("bad") as timing:
        _ = 1 / 0
    assert timing.seconds > 0
    assert timing.peak_mb > 0
