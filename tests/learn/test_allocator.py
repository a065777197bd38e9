"""Freed memory stays with the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from curette.learn import allocator

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        blocks = [np.ones(2**20) for _ in range(24)]  # 24 of 8 MB
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
first = faults()
kept = allocator.keep_freed()
faults()
print(first, faults(), kept)
"""


def _run(**environment: str) -> list[str]:
    names = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=clean | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def _glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError):
        return False


@pytest.mark.skipif(not _glibc(), reason="the C library is not glibc")
def test_pages_are_not_asked_for_again() -> None:
    before, after, kept = _run()
    assert kept == "True"
    assert int(after) < 0.1 * int(before)


def test_what_the_environment_chooses_stays() -> None:
    assert _run(MALLOC_TRIM_THRESHOLD_="1000000")[2] == "False"
