"""What every data set of the registry promises to those who choose one."""

from __future__ import annotations

from pathlib import Path

import pytest

from curette.cli.catalogue import dataset, datasets
from curette.data.datasets import open_dataset
from curette.errors import DataError, SettingError
from curette.recipe import Data
from curette.registry import Component, components

DOCS = Path(__file__).resolve().parents[2] / "docs"
MADE_UP = [c for c in components("dataset").values() if c.info["layout"] == "no files"]
FILES = [c for c in components("dataset").values() if c not in MADE_UP]


@pytest.mark.parametrize("card", datasets(), ids=lambda card: card["name"])
def test_source_licence_layout_task_and_size_are_stated(card: dict) -> None:
    for fact in ("task", "layout", "size", "source", "licence", "summary"):
        assert card[fact].strip(), f"say it where '{card['name']}' is registered: {fact}="
    assert any(word in card["task"] for word in ("classification", "segmentation"))
    assert list(dataset(card["name"])["parts"]) == card["parts"]


@pytest.mark.parametrize("component", FILES, ids=lambda c: c.name)
def test_without_files_it_says_what_is_missing(component: Component, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.root"):
        open_dataset(Data(dataset=component.name))
    with pytest.raises(DataError, match="nowhere"):
        open_dataset(Data(dataset=component.name, root=tmp_path / "nowhere"))
    with pytest.raises((DataError, SettingError), match=tmp_path.name):
        open_dataset(Data(dataset=component.name, root=tmp_path))


@pytest.mark.parametrize("component", MADE_UP, ids=lambda c: c.name)
def test_what_is_generated_needs_no_folder_and_is_always_the_same(
    component: Component, tmp_path: Path
) -> None:
    def read() -> list[bytes]:
        cases = open_dataset(Data(dataset=component.name)).cases[:2]
        return [source.read().array.tobytes() for case in cases for source in (*case.images, case.label)]

    first = read()
    assert len(set(first)) == len(first), "two parts of two patients are equal"
    assert read() == first
    with pytest.raises(SettingError, match="remove root"):
        open_dataset(Data(dataset=component.name, root=tmp_path))


@pytest.mark.parametrize("component", components("dataset").values(), ids=lambda c: c.name)
def test_the_docs_have_it(component: Component) -> None:
    page = (DOCS / "data.md").read_text(encoding="utf-8")
    assert f"`{component.name}`" in page, f"docs/data.md says nothing of the data set '{component.name}'"
