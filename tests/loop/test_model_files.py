from __future__ import annotations

from pathlib import Path

import pytest

from curette.errors import DataError
from curette.loop.ledger import Event, Ledger
from curette.loop.models import Models, model_id, tidy
from curette.region import Region
from fakes import FakeImages, FakeLearner, FakeModel

MODEL = FakeModel(((0.0, 0.5, 1.0),))


def _models(folder: Path) -> Models:
    images = FakeImages()
    return Models(folder, FakeLearner(images.task, images))


def _never() -> FakeModel:
    raise AssertionError("it was trained again")


def test_the_id_does_not_depend_on_the_order_of_labels_but_on_everything_else() -> None:
    a, b, c = Region("a"), Region("b", 2, 3), Region("c")
    plain = model_id("r", 0, 1, 1, [a, b])
    assert plain == model_id("r", 0, 1, 1, [b, a])
    others = [
        model_id("q", 0, 1, 1, [a, b]),
        model_id("r", 1, 1, 1, [a, b]),
        model_id("r", 0, 2, 1, [a, b]),
        model_id("r", 0, 1, 5, [a, b]),
        model_id("r", 0, 1, 1, [a, c]),
        model_id("r", 0, 1, 1, [a, b], start="m"),
    ]
    assert len({plain, *others}) == 7


def test_a_model_is_found_in_memory_then_on_disk_then_trained_again(tmp_path: Path) -> None:
    models = _models(tmp_path / "models")
    models.keep("m", MODEL)
    assert models.get("m", _never) is MODEL
    assert _models(tmp_path / "models").get("m", _never) == MODEL
    models.path("m").unlink()
    fresh = _models(tmp_path / "models")
    assert fresh.get("m", lambda: MODEL) is MODEL
    assert fresh.path("m").exists()


def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    models = _models(tmp_path)
    models.path("m").write_text("{")
    with pytest.raises(DataError, match=r"m\.pt"):
        models.get("m", _never)


def test_files_go_when_no_run_has_them_as_its_latest(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add_recipe("r", "")
    runs = [ledger.open_run("s", "n", seed, "r").id for seed in (0, 1)]
    models = _models(tmp_path / "models")
    for name in ("old", "new", "stray"):
        models.keep(name, MODEL)
    (tmp_path / "models" / "x.pt.123.part").write_text("half")
    ledger.record([Event(run, 0, "trained", model="old") for run in runs])
    ledger.record([Event(runs[0], 1, "trained", model="new")])
    models.drop("old", ledger)
    assert models.path("old").exists()  # the other run still needs it
    ledger.record([Event(runs[1], 1, "trained", model="new")])
    models.drop("old", ledger)
    assert not models.path("old").exists()
    tidy(tmp_path / "models", ledger)
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["new.pt"]
    tidy(tmp_path / "nowhere", ledger)
    ledger.close()
