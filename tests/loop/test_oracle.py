from __future__ import annotations

import numpy as np

from curette.learn.progress import Progress
from curette.loop.oracle import Cost, SimulatedOracle
from curette.query import trigger  # noqa: F401  (registers triggers)
from curette.region import Region
from curette.registry import bind
from fakes import CLASSIFICATION, SEGMENTATION, FakeImages


def test_the_simulated_oracle_answers_from_the_truth_of_just_the_regions_asked_for() -> None:
    images = FakeImages()
    regions = images.regions(["p01"])[2:5]
    oracle = bind("oracle", "simulated")(images)
    answer = oracle.answer(regions)
    assert list(answer) == regions
    for region in regions:
        np.testing.assert_array_equal(answer[region], images.truth("p01")[:, :, region.index])


def test_cost_counts_annotated_foreground_only() -> None:
    oracle = SimulatedOracle(FakeImages(SEGMENTATION))
    label = np.array([[0, 1, 2], [255, 255, 1]], np.uint8)
    assert oracle.cost(Region("a", 2, 0), label) == Cost(1.0, 6, 3)
    assert oracle.cost(Region.parse("a@z=0[0:2,0:3]"), label) == Cost(1.0, 6, 3)


def test_of_a_shape_only_its_own_pixels_cost() -> None:
    oracle = SimulatedOracle(FakeImages(SEGMENTATION))
    region = Region.parse("p00@z=4[3:6,2:6]{1,2,2,2,1,2,1,1}")
    label = oracle.answer([region])[region]
    truth = oracle.truth.labels([region.unit])[region.unit][region.slices]
    np.testing.assert_array_equal(label, np.where(region.mask, truth, 255))
    known = label[region.mask]
    assert oracle.cost(region, label) == Cost(1.0, 7, int((known > 0).sum()))


def test_a_class_costs_a_unit_and_no_voxels() -> None:
    oracle = SimulatedOracle(FakeImages(CLASSIFICATION))
    assert oracle.cost(Region("p01"), np.array(2)) == Cost(1.0, 0, 0)


def test_the_query_after_training_waits_for_labels_and_for_the_training() -> None:
    due = bind("trigger", "after_training")
    assert due(Progress(1, picked=5, labelled=5, trained_on=5))
    assert not due(Progress(1, picked=5, labelled=4, trained_on=4))
    assert not due(Progress(1, picked=5, labelled=5, trained_on=3))
