"""The facts that `seed-methods.md` 3.4 states about the hippocampus task, on the real files."""

from pathlib import Path

import numpy as np
import pytest

from curette.data.case import Dataset
from curette.data.datasets import open_dataset
from curette.data.prepare import Prepared, prepare
from curette.data.splits import split_patients
from curette.recipe import Data, Prepare, Split

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def hippocampus(real_data: Path) -> tuple[Dataset, Prepared]:
    data = Data(dataset="msd", root=real_data / "Task04_Hippocampus", unit="slice", axis="z")
    dataset = open_dataset(data)
    return dataset, prepare(dataset, data, Prepare())


def test_counts_of_slices(hippocampus: tuple[Dataset, Prepared]) -> None:
    dataset, prepared = hippocampus
    assert len(dataset.cases) == 260
    assert dataset.task.names == ("background", "Anterior", "Posterior")
    assert len(prepared.regions(prepared.case_ids)) == 9270
    shapes = np.array([prepared.shape(c) for c in prepared.case_ids])
    assert shapes.sum(axis=0).tolist() == [9198, 12995, 9270]
    assert shapes.max(axis=0)[:2].tolist() == [43, 59]
    assert prepared.size == (48, 64)


def test_slices_with_foreground(hippocampus: tuple[Dataset, Prepared]) -> None:
    _, prepared = hippocampus
    labels = prepared.labels(prepared.regions(prepared.case_ids))
    assert sum(bool(label.any()) for label in labels.values()) == 6623


def test_restored_labels_are_the_files(hippocampus: tuple[Dataset, Prepared]) -> None:
    dataset, prepared = hippocampus
    for case in dataset.cases[::20]:
        stack = np.stack(list(prepared.labels(prepared.regions([case.id])).values()))
        np.testing.assert_array_equal(prepared.restore(case.id, stack), case.label.read().array)
        assert prepared.spacing(case.id) == (1.0, 1.0, 1.0)


def test_published_split(hippocampus: tuple[Dataset, Prepared]) -> None:
    splits = split_patients(hippocampus[0], Split(train=200, val=10, test=50))
    assert [len(p) for p in (splits.train, splits.val, splits.test, splits.unused)] == [200, 10, 50, 0]
