"""Maps of features, for embeddings of parts of a unit."""

from __future__ import annotations

import pytest
import torch

from curette.query.strategy import parse_strategy
from curette.query.sweep import recall, sweep
from curette.registry import bind
from learn.toys import BLOBS, DISCS, Pictures, learner


@pytest.fixture(scope="module")
def trained():
    pictures = Pictures(DISCS, 6)
    made = learner(pictures, steps=2)
    return pictures, made, made.fit(pictures.labels, seed=0)


def ask(trained, passes: str, *needs: str):
    pictures, made, model = trained
    return next(iter(made.predict(model, pictures.regions, bind("passes", passes), frozenset(needs), seed=0)))


def test_the_map_averages_to_the_embedding(trained) -> None:
    found = ask(trained, "single", "embedding", "feature_map")
    assert found.feature_map.ndim == 4
    torch.testing.assert_close(found.feature_map.mean(dim=(2, 3)), found.embedding)
    assert ask(trained, "single", "embedding").feature_map is None


def test_it_is_that_of_the_first_pass_which_is_not_mirrored(trained) -> None:
    found = ask(trained, "flips", "embedding", "feature_map")
    torch.testing.assert_close(
        found.feature_map, ask(trained, "single", "embedding", "feature_map").feature_map
    )


def test_patches_of_a_real_network_differ_inside_a_unit_and_are_recalled_alike(trained) -> None:
    pictures, made, model = trained
    strategy = parse_strategy("single > entropy > patch(8, 8, stride=8) > k_center")
    patient = {r.case: i for i, r in enumerate(pictures.regions)}
    found = sweep(made, model, pictures.regions, [strategy], seed=0, patient=patient, task=DISCS)[strategy]
    assert len(found) > len(pictures.regions)
    first = [i for i, r in enumerate(found.regions) if r.unit == pictures.regions[0]]
    assert found.embedding[first].std(axis=0).max() > 0
    features, _ = recall(made, model, [found.regions[i] for i in first[::-1]], strategy, seed=0)
    torch.testing.assert_close(torch.from_numpy(features), torch.from_numpy(found.embedding[first[::-1]]))


def test_classification_has_a_map_too() -> None:
    pictures = Pictures(BLOBS, 4)
    made = learner(pictures, steps=1)
    model = made.fit(pictures.labels, seed=0)
    found = ask((pictures, made, model), "single", "embedding", "feature_map")
    assert found.feature_map.shape[:2] == found.embedding.shape
