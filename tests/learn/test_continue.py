"""A training that goes on while labels are added: optimiser, epochs and learning rate too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toys import DISCS, Pictures, learner

from curette.errors import CuretteWarning
from curette.learn.learner import Assignment
from curette.query import trigger  # noqa: F401  (registers triggers)
from curette.text import read

ON = {"epochs": 6, "start": "continue", "schedule": "constant", "warmup": 0.0}


def _every(epochs: int) -> Assignment:
    return Assignment(trigger=read("trigger", f"every({epochs})"))


def test_a_training_goes_on_where_it_was_cut_short(tmp_path: Path) -> None:
    pictures = Pictures(DISCS, 8)
    learned = learner(pictures, **ON)
    first = learned.fit(pictures.labels, seed=5, assignment=_every(2))
    assert first.record == {"steps": 4, "epochs": 2}
    assert first.courses[0].epoch == 2
    assert first.courses[0].optimisers[0]["state"]
    learned.save(first, tmp_path / "first.pt")
    from_disk = learned.fit(pictures.labels, seed=6, start=learned.load(tmp_path / "first.pt"))
    from_memory = learned.fit(pictures.labels, seed=6, start=first)
    assert from_memory.record == {"steps": 8, "epochs": 4}
    for a, b in zip(from_disk.networks[0].parameters(), from_memory.networks[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_optimiser_is_not_begun_anew() -> None:
    pictures = Pictures(DISCS, 8)
    learned = learner(pictures, **ON)
    first = learned.fit(pictures.labels, seed=5, assignment=_every(2))
    on = learned.fit(pictures.labels, seed=6, start=first, assignment=_every(1))
    fresh = learner(pictures, **{**ON, "start": "finetune"}).fit(
        pictures.labels, seed=6, start=first, assignment=_every(1)
    )
    steps = [int(state["step"]) for state in on.courses[0].optimisers[0]["state"].values()]
    assert set(steps) == {6}
    weights = [torch.cat([p.flatten() for p in m.networks[0].parameters()]) for m in (on, fresh)]
    assert not torch.equal(*weights)


def test_epochs_that_are_used_up_are_told() -> None:
    pictures = Pictures(DISCS, 4)
    learned = learner(pictures, **ON)
    whole = learned.fit(pictures.labels, seed=1)
    assert whole.record["epochs"] == 6
    with pytest.warns(CuretteWarning, match="used up before cycle 2"):
        again = learned.fit(pictures.labels, seed=2, start=whole, assignment=Assignment(cycle=2))
    assert again.record["steps"] == 0


def test_validation_labels_watch_and_never_teach() -> None:
    pictures = Pictures(DISCS, 10)
    mine = {r: pictures.labels[r] for r in pictures.regions[:6]}
    other = {r: pictures.labels[r] for r in pictures.regions[6:]}
    watched = learner(pictures, epochs=4, validate_every=1).fit(
        mine, seed=3, assignment=Assignment(validation=other)
    )
    alone = learner(pictures, epochs=4).fit(mine, seed=3)
    assert len(watched.record["validation"]) == 4
    assert all(0 <= value <= 1 for value in watched.record["validation"])
    for a, b in zip(watched.networks[0].parameters(), alone.networks[0].parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("companion", ["learning_loss", "accuracy_predictor", "structure_boundary"])
@pytest.mark.parametrize("start", ["scratch", "continue"])
def test_a_network_in_company_is_watched_too(companion: str, start: str) -> None:
    """Each look is between two steps, while the company still has what it saw in the last one."""
    pictures = Pictures(DISCS, 10)
    mine = {r: pictures.labels[r] for r in pictures.regions[:6]}
    other = {r: pictures.labels[r] for r in pictures.regions[6:]}
    along = (read("companion", companion),)
    settings = {"epochs": 3, "start": start, "keep": "best"}
    watched = learner(pictures, validate_every=1, **settings).fit(
        mine, seed=3, assignment=Assignment(validation=other, companions=along)
    )
    assert len(watched.record["validation"]) == 3
    last = learner(pictures, validate_every=1, **settings | {"keep": "last"}).fit(
        mine, seed=3, assignment=Assignment(validation=other, companions=along)
    )
    alone = learner(pictures, **settings | {"keep": "last"}).fit(
        mine, seed=3, assignment=Assignment(companions=along)
    )
    for a, b in zip(last.networks[0].parameters(), alone.networks[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_was_taught_is_learned_and_labels_come_first() -> None:
    pictures = Pictures(DISCS, 8)
    mine = {r: pictures.labels[r] for r in pictures.regions[:4]}
    rest = {r: pictures.labels[r] for r in pictures.regions[4:]}
    wrong = {r: 0 * label for r, label in mine.items()}
    learned = learner(pictures, steps=6)
    both = learned.fit(mine, seed=2, assignment=Assignment(taught={**rest, **wrong}))
    all_labels = learned.fit({**mine, **rest}, seed=2)
    for a, b in zip(both.networks[0].parameters(), all_labels.networks[0].parameters(), strict=True):
        assert torch.equal(a, b)
