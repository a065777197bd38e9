"""Memory that was freed and is wanted again at once: the process keeps it, in place of asking the system anew."""

from __future__ import annotations

import ctypes
import os
from functools import cache

KEPT = 2**30
"""Most bytes at the end of the heap that stay with the process when they are freed; glibc has 2 to 64 MB by default."""
LARGE = 2**25
"""Blocks of more bytes are mapped by themselves and given back when freed, glibc's largest default."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_CHOSEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


@cache
def keep_freed() -> bool:
    """Have glibc keep freed memory, up to `KEPT` bytes, for the rest of this process; whether it does.

    A forward pass on the CPU allocates and frees the same hundreds of megabytes each time, and the system has to hand out and
    zero their pages again. Nothing changes where the environment already chooses (`MALLOC_TRIM_THRESHOLD_` and the like) or
    where the C library is another one.
    """
    if any(name in os.environ for name in _CHOSEN):
        return False
    try:
        if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return False
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, ValueError):  # another system or C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGE)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))
