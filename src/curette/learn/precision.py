"""Which precision to train in: bf16 where a probe of about a second shows that this machine gains from it."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from curette.data import cache
from curette.errors import SettingError
from curette.learn.layout import layout, memory_format

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
VARIABLE = "CURETTE_PRECISION"
GAIN = 1.2
"""Speed-up below which bf16 is not worth its rounding."""
_ROUNDS, _SECONDS = 5, 1.0

_known: dict[str, str] = {}


def choose(setting: str, device: torch.device, build: Callable[[], nn.Module], shape: tuple[int, ...]) -> str:
    """Return the precision to use: the setting, or for ``auto`` what ``CURETTE_PRECISION`` says, or a probe.

    The probe trains `build()` on random batches of `shape` in both precisions, in turn. Its answer is kept for the
    process and in the cache folder, by machine, so that a study that is resumed, or that runs in several processes,
    computes the same everywhere. Delete ``precision-*`` there to probe again.
    """
    wanted = os.environ.get(VARIABLE, "auto") if setting == "auto" else setting
    if wanted in PRECISIONS:
        return wanted
    if wanted != "auto":
        raise SettingError(f"{VARIABLE} is '{wanted}'. Set it to auto or one of: {', '.join(PRECISIONS)}.")
    key = hashlib.sha256(_machine(device).encode()).hexdigest()[:12]
    if key not in _known:
        try:
            facts = cache.build(
                cache.root(None) / f"precision-{key}", lambda _: _measure(device, build, shape)
            )
        except SettingError:  # a cache that cannot be written is no reason not to train
            facts = _measure(device, build, shape)
        _known[key] = facts["precision"]
    return _known[key]


def _machine(device: torch.device) -> str:
    """What the answer depends on: the processor, what torch makes of it, and torch itself."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} {torch.__version__}"
    return (
        f"{platform.machine()} {_processor()} {torch.backends.cpu.get_cpu_capability()} {torch.__version__}"
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            wanted = ("model name", "flags")
            return "".join(sorted({line.strip() for line in lines if line.startswith(wanted)}))
    except OSError:
        return platform.processor()


def _measure(device: torch.device, build: Callable[[], nn.Module], shape: tuple[int, ...]) -> dict[str, Any]:
    """Fastest step of a few in each precision, and which of the two to use."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        network = build().to(device)
        x = layout(torch.randn(shape, device=device))
        network = network.to(memory_format=memory_format(x))  # type: ignore[call-overload]
        best = {False: float("inf"), True: float("inf")}
        start = time.perf_counter()
        for round_ in range(_ROUNDS):
            for bf16 in (False, True):
                best[bf16] = min(best[bf16], _step(network, x, bf16))
            if round_ and time.perf_counter() - start > _SECONDS:
                break
    gain = best[False] / best[True]
    precision = "bf16-mixed" if gain >= GAIN else "32-true"
    return {"precision": precision, "gain": round(gain, 3), "machine": _machine(device)[:120]}


def _step(network: nn.Module, x: torch.Tensor, bf16: bool) -> float:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    start = time.perf_counter()
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=bf16):
        logits = network(x)
    logits.float().square().mean().backward()
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter() - start
