"""The demonstration: small, valid, and careful about other people's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from curette.cli.demo import FOLDER, demo_folder, demo_study
from curette.query.strategy import parse_strategy
from curette.recipe import dump_study


def test_it_is_what_the_docs_promise() -> None:
    study = demo_study()
    assert (len(study.strategies), len(study.seeds), study.query.cycles) == (4, 2, 4)
    assert study.data.dataset == "phantom"
    assert "random" in study.strategies
    assert len({str(parse_strategy(s)) for s in study.strategies}) == 4


def test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo_folder(Path("mine")) == Path("mine")
    assert demo_folder(None) == Path(FOLDER)
    Path(FOLDER).mkdir()
    assert demo_folder(None) == Path(FOLDER)
    (Path(FOLDER) / "notes.txt").write_text("mine")
    assert demo_folder(None) == Path(f"{FOLDER}-2")
    (Path(FOLDER) / "study.toml").write_text(dump_study(demo_study()), encoding="utf-8")
    assert demo_folder(None) == Path(FOLDER)
    other = demo_study().model_copy(update={"name": "another"})
    (Path(FOLDER) / "study.toml").write_text(dump_study(other), encoding="utf-8")
    assert demo_folder(None) == Path(f"{FOLDER}-2")
