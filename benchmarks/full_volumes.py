"""How good is the small 3D U-Net with all labels? Dice per volume and class, HD95 and seconds on whole hippocampi.

python benchmarks/full_volumes.py [--steps 1000] [--seeds 1] [--model pcdal_unet --widths 8 16 32]

Data, split and training are those of examples/hippocampus-3d.toml; only all volumes of the pool are labelled at once.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from curette.data.datasets import open_dataset
from curette.data.prepare import prepare
from curette.data.splits import split_patients
from curette.learn.evaluate import MEAN, evaluate
from curette.learn.torch_learner import TorchLearner
from curette.recipe import Data, load_study

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ.get("CURETTE_DATA", HERE.parents[1] / "shared" / "data"))
METRICS = ("dice_3d", "hd95_mm")


def main() -> None:
    study = load_study(HERE.parent / "examples" / "hippocampus-3d.toml")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=study.train.steps)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--model", default=study.train.model)
    parser.add_argument(
        "--widths", type=int, nargs="+", help="channels of its levels; without it the study's own options"
    )
    given = parser.parse_args()
    data = Data(dataset="msd", root=ROOT / "Task04_Hippocampus", unit="volume")
    if not data.root or not data.root.is_dir():
        print(
            f"skipped: there is no {data.root}; set CURETTE_DATA to the folder that holds Task04_Hippocampus"
        )
        return
    dataset = open_dataset(data)
    prepared = prepare(dataset, data, study.prepare)
    splits = split_patients(prepared.kept(dataset), study.split)
    pool = prepared.regions(splits.train)
    options = {"widths": given.widths} if given.widths else study.train.options
    changes = {"steps": given.steps, "model": given.model, "options": options}
    settings = study.train.model_copy(update=changes)
    learner = TorchLearner(prepared.unit_task, prepared, settings, channels=prepared.channels, batch=8)
    print(f"{len(pool)} volumes to train on, {len(splits.test)} to test on, {given.steps} steps", flush=True)
    for seed in range(given.seeds):
        start = time.perf_counter()
        model = learner.fit(prepared.labels(pool), seed=seed)
        trained = time.perf_counter()
        found = evaluate(learner, model, prepared, splits.test, metrics=METRICS)
        done = time.perf_counter()
        for metric, unit in zip(METRICS, ("", " mm"), strict=True):
            rows = [m for m in found if m.metric == metric]
            told = "  ".join(
                f"{m.cls} {m.value:.3f}{unit}" for m in sorted(rows, key=lambda m: m.cls == MEAN)
            )
            print(f"seed {seed}: {metric}  {told}", flush=True)
        print(
            f"seed {seed}: {trained - start:.0f} s training, {1e3 * (trained - start) / given.steps:.0f} ms a step, "
            f"{done - trained:.0f} s evaluation",
            flush=True,
        )


if __name__ == "__main__":
    main()
