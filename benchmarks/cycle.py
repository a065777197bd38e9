"""How long does one cycle of a real study take? Hippocampus slices, one strategy, one seed, stage by stage.

python benchmarks/cycle.py [--strategy entropy] [--cycles 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import defaultdict
from pathlib import Path

import torch

from curette.bench.progress import Progress
from curette.bench.study import run_study
from curette.recipe import Train, parse_study

ROOT = Path(os.environ.get("CURETTE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strategy", default="entropy")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--steps", type=int, default=Train().steps)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    root = ROOT / "Task04_Hippocampus"
    if not root.is_dir():
        print(f"skipped: there is no {root}; set CURETTE_DATA to the folder that holds Task04_Hippocampus")
        return
    study = parse_study(
        {
            "name": "One cycle",
            "strategies": [args.strategy],
            "seeds": [0],
            "gallery": False,
            "data": {"dataset": "msd", "root": str(root), "unit": "slice"},
            "split": {"train": 200, "val": 10, "test": 50},
            "train": {"steps": args.steps},
            "query": {"initial": 10, "budget": 10, "cycles": args.cycles},
        }
    )
    seconds: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def note(progress: Progress) -> None:
        if progress.step is not None:
            seconds[progress.step.cycle][progress.step.stage] += progress.step.seconds

    with tempfile.TemporaryDirectory() as folder:
        run_study(study, Path(folder) / "study", workers=1, on_progress=note)
    for cycle, stages in sorted(seconds.items()):
        parts = ", ".join(f"{stage} {took:.1f} s" for stage, took in stages.items() if took >= 0.05)
        print(f"cycle {cycle}: {sum(stages.values()):.1f} s ({parts})")


if __name__ == "__main__":
    main()
