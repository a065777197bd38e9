"""Looking at volumes window by window: curette's passes with entropies against MONAI's SlidingWindowInferer.

    python benchmarks/windows.py [--size 96 96 64] [--window 32 48 32] [--rounds 5] [--threads 1]

Both have the same network, weights folded likewise, window, overlap of a quarter and Gaussian blending, and end with the
entropy of every voxel; both look at one volume at a time. MONAI is asked twice, with one window
in a forward pass and with several (`--batch`). They take turns, round after round. The entropies are compared, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor

import curette.learn.passes
import curette.query.scorers  # noqa: F401  (registers `single` and `entropy`)
from curette.learn.fuse import fused
from curette.learn.layout import layout, memory_format
from curette.learn.models import build
from curette.learn.predict import OVERLAP, predict
from curette.recipe import Train
from curette.region import Region
from curette.registry import bind, get
from curette.task import Task

TASK = Task(kind="segmentation", dims=3, classes={"background": 0, "anterior": 1, "posterior": 2})


class Volume:
    """One image [1, 1, *S] as the regions of a study give it."""

    def __init__(self, image: Tensor) -> None:
        self.image = image.numpy()

    def unit_shape(self, region: Region) -> tuple[int, ...]:
        return self.image.shape[2:]

    def batch(self, regions: list[Region]) -> tuple[np.ndarray, None]:
        return self.image, None


def entropy(shares: Tensor) -> Tensor:
    """Shannon entropy [B, *S] of probabilities [B, C, *S]."""
    return -torch.special.xlogy(shares, shares).sum(1)


def contestants(
    network: torch.nn.Module, image: Tensor, window: tuple[int, ...], batch: int
) -> dict[str, Callable[[], Tensor]]:
    """What each does to the image: a function without arguments that returns entropies [1, *S]."""
    volume, region = Volume(image), [Region("volume")]
    folded = fused(network)

    def ours() -> Tensor:
        found = predict(
            [network],
            volume,
            region,
            bind("passes", "single"),
            frozenset({"mean"}),
            batch=1,
            seed=0,
            device=torch.device("cpu"),
            crop=window,
        )
        return torch.as_tensor(get("scorer", "entropy").function(next(iter(found))))

    def monai(count: int) -> Callable[[], Tensor]:
        inferer = SlidingWindowInferer(window, sw_batch_size=count, overlap=OVERLAP, mode="gaussian")

        def run() -> Tensor:
            with torch.inference_mode():
                return entropy(inferer(layout(image), folded).softmax(1))

        return run

    return {"curette": ours, "MONAI, 1 window": monai(1), f"MONAI, {batch} windows": monai(batch)}


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=3, default=(96, 96, 64))
    parser.add_argument("--window", type=int, nargs=3, default=(32, 48, 32))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    image = torch.randn(1, 1, *given.size)
    network = build(TASK, 1, Train()).to(memory_format=memory_format(image)).eval()  # type: ignore[call-overload]
    sides = contestants(network, image, tuple(given.window), given.batch)
    found = {name: run() for name, run in sides.items()}
    times = {name: [] for name in sides}
    for number in range(given.rounds):
        names = [*sides][number % len(sides) :] + [*sides][: number % len(sides)]
        for name in names:  # nobody always follows the same one, whose memory it then finds
            times[name].append(seconds(sides[name]))
    for name, values in times.items():
        ratio = statistics.median(o / v for o, v in zip(times["curette"], values, strict=True))
        best = min(times["curette"]) / min(values)
        error = float((found[name] - found["curette"]).abs().max())
        print(
            f"{name:18} {min(values):6.2f} s; curette takes {best:.2f} × that (median of rounds {ratio:.2f}); "
            f"largest difference of entropies {error:.1e}"
        )


if __name__ == "__main__":
    main()
