"""With twenty labelled slices of real volumes no class vanishes from the predictions, whatever the seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from curette.data.datasets import open_dataset
from curette.data.prepare import prepare
from curette.data.splits import split_patients
from curette.learn.evaluate import evaluate
from curette.learn.torch_learner import TorchLearner
from curette.recipe import Data, Prepare, Split, Train
from curette.seeds import spawn

RUNS, SLICES, LOWEST = 10, 20, 0.3


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(RUNS))
def test_no_class_vanishes_with_twenty_slices(real_data: Path, seed: int) -> None:
    data = Data(dataset="msd", root=real_data / "Task04_Hippocampus", unit="slice")
    dataset = open_dataset(data)
    prepared = prepare(dataset, data, Prepare())
    splits = split_patients(prepared.kept(dataset), Split(train=200, val=10, test=50))
    pool = prepared.regions(splits.train)
    learner = TorchLearner(prepared.unit_task, prepared, Train(), channels=prepared.channels, batch=64)
    drawn = spawn(seed, 0, "few labels").permutation(len(pool))[:SLICES]
    model = learner.fit(prepared.labels([pool[i] for i in drawn]), seed=seed)
    dice = {m.cls: m.value for m in evaluate(learner, model, prepared, splits.test, metrics=["dice_3d"])}
    assert set(dice) == {*prepared.unit_task.foreground, "mean"}
    assert min(dice.values()) >= LOWEST, dice
