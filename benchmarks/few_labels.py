"""Does a class vanish with few labels? Dice per volume and class on hippocampus slices, one line a seed.

python benchmarks/few_labels.py [--slices 20] [--seeds 10]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from curette.data.datasets import open_dataset
from curette.data.prepare import prepare
from curette.data.splits import split_patients
from curette.learn.evaluate import evaluate
from curette.learn.torch_learner import TorchLearner
from curette.recipe import Data, Prepare, Split, Train
from curette.seeds import spawn

ROOT = Path(os.environ.get("CURETTE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=Train().steps)
    parser.add_argument("--model", default=Train().model)
    args = parser.parse_args()
    data = Data(dataset="msd", root=ROOT / "Task04_Hippocampus", unit="slice")
    if not data.root or not data.root.is_dir():
        print(
            f"skipped: there is no {data.root}; set CURETTE_DATA to the folder that holds Task04_Hippocampus"
        )
        return
    dataset = open_dataset(data)
    prepared = prepare(dataset, data, Prepare())
    splits = split_patients(prepared.kept(dataset), Split(train=200, val=10, test=50))
    pool = prepared.regions(splits.train)
    settings = Train(steps=args.steps, model=args.model)
    learner = TorchLearner(prepared.unit_task, prepared, settings, channels=prepared.channels, batch=64)
    worst = 1.0
    for seed in range(args.seeds):
        drawn = spawn(seed, 0, "few labels").permutation(len(pool))[: args.slices]
        start = time.perf_counter()
        model = learner.fit(prepared.labels([pool[i] for i in drawn]), seed=seed)
        trained = time.perf_counter()
        dice = {m.cls: m.value for m in evaluate(learner, model, prepared, splits.test, metrics=["dice_3d"])}
        worst = min(worst, *dice.values())
        values = "  ".join(f"{name} {value:.3f}" for name, value in dice.items())
        seconds = f"{trained - start:.0f} s training, {time.perf_counter() - trained:.0f} s evaluation"
        print(f"seed {seed}: {values}  ({seconds})", flush=True)
    print(f"lowest Dice of any class in {args.seeds} runs with {args.slices} slices: {worst:.3f}")


if __name__ == "__main__":
    main()
