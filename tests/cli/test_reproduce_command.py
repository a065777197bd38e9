"""``curette reproduce`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import curette.cli.reproduce as command
from curette.cli import app
from curette.papers import PAPERS
from curette.papers.reproduce import run
from tiny_paper import fake_learner, tiny_paper


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with the fake learner, and one paper more."""

    def faked(*arguments: Any, **options: Any) -> dict[str, Any]:
        return run(*arguments, **options, make_learner=fake_learner)

    monkeypatch.setitem(PAPERS, "tiny", tiny_paper())
    monkeypatch.setattr(command, "run", faked)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2
    assert result.stdout == ""
    for word in words:
        assert word in result.stderr


def test_without_a_name_papers_and_parts_are_listed() -> None:
    shown = call().stdout
    for paper in PAPERS.values():
        for text in (paper.name, *(part.name for part in paper.parts)):
            assert text in shown
    assert "region level is a later step" in shown
    found = json.loads(call("--json").stdout)["papers"]
    assert [p["name"] for p in found] == list(PAPERS)
    parts = {part["name"]: part for part in found[-1]["parts"]}
    assert parts["phantom"]["stands_for"] == "isic2018"
    assert parts["regions"]["unavailable"]


@pytest.mark.usefixtures("tiny")
def test_a_part_is_run_and_shown_beside_the_paper(tmp_path: Path) -> None:
    done = call(
        "tiny",
        "--part",
        "queries",
        "--out",
        tmp_path,
        "--workers",
        1,
        "--only",
        "Entropy",
        "--only",
        "Entropy+SB",
    )
    assert done.exit_code == 0, done.output
    assert "68.83" in done.stdout
    assert "Entropy+SB > Entropy" in done.stdout
    assert "note: A later step." in done.stdout
    assert f"report: {tmp_path / 'report.html'}" in done.stdout
    again = call("tiny", "--part", "queries", "--out", tmp_path, "-w", 1, "--json")
    found = json.loads(again.stdout)
    assert found["folder"] == str(tmp_path)
    assert found["part"] == "queries"
    assert found["scale"] == "full"


@pytest.mark.usefixtures("tiny")
def test_small_scale_and_seeds_change_the_study(tmp_path: Path) -> None:
    done = call(
        "tiny", "--scale", "small", "--out", tmp_path, "--seeds", 2, "--only", "Random", "--json", "-w", 1
    )
    found = json.loads(done.stdout)
    assert found["tables"][0]["rows"][0]["cells"][0]["seeds"] == 2
    assert found["warnings"][0].startswith("Small scale")


def test_wrong_words_are_answered_with_the_right_ones(tmp_path: Path) -> None:
    refused(call("pcdla"), "Did you mean 'pcdal'?")
    refused(call("pcdal", "--part", "covd"), "Did you mean 'covid'?")
    refused(call("pcdal", "--scale", "medium"), "Unknown scale 'medium'", "small")
    refused(call("--part", "covid"), "Say which paper")
    refused(call("melanoma", "--part", "regions"), "later step")
    refused(call("paal", "--part", "liver", "--data", tmp_path), "private")
    refused(call("stochastic-batches"), "needs --data", "curette datasets msd")


@pytest.mark.usefixtures("tiny")
def test_a_wrong_folder_is_the_readers_own_error(tmp_path: Path) -> None:
    refused(
        call("tiny", "--part", "files", "--data", tmp_path, "--out", tmp_path / "out"),
        "dataset.json",
        str(tmp_path),
    )
    assert not (tmp_path / "out").exists()


def test_the_docs_show_every_field_of_the_outcome(tmp_path: Path, tiny: None) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.split("### reproduce")[1].split("\n### ")[0]
    found = json.loads(call("tiny", "--out", tmp_path, "--only", "Random", "--json", "-w", 1).stdout)
    cell = found["tables"][0]["rows"][0]["cells"][0]
    for key in {*found, *found["tables"][0], *found["orderings"][0], *found["tables"][0]["rows"][0], *cell}:
        assert f"`{key}`" in section, key
