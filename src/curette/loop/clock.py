"""What a stage of the loop took: seconds, and the most memory the process held meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_MB = 1024 * 1024
_PERIOD = 0.02


@dataclass
class Timing:
    """Wall-clock seconds of a stage and its peak resident memory in MB (2^20 bytes), filled when the stage ends."""

    stage: str
    seconds: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def timed(stage: str) -> Iterator[Timing]:
    """Time a ``with`` block.

    On Linux the kernel's own high-water mark is reset at the start, so the peak is exact and of this stage alone.
    Elsewhere resident memory is sampled every 20 ms, which can miss a shorter peak.
    """
    timing = Timing(stage)
    peak = _KernelPeak() if _KernelPeak.reset() else _SampledPeak()
    start = time.perf_counter()
    try:
        yield timing
    finally:
        timing.seconds = time.perf_counter() - start
        timing.peak_mb = peak.stop() / _MB


class _KernelPeak:
    """Linux: writing 5 to ``clear_refs`` sets VmHWM back to the present size (proc(5))."""

    @staticmethod
    def reset() -> bool:
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return False
        return _KernelPeak.stop() > 0

    @staticmethod
    def stop() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


class _SampledPeak:
    def __init__(self) -> None:
        self._process = psutil.Process()
        self._most = self._process.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._over.wait(_PERIOD):
            self._most = max(self._most, self._process.memory_info().rss)

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return max(self._most, int(self._process.memory_info().rss))
