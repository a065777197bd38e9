"""``curette reproduce`` as a user meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import curette.cli.reproduce as command
from curette.cli import app
from curette.data.splits import Splits
from curette.papers import PAPERS
from curette.papers.reproduce import run
from curette.recipe import load_study
from tiny_paper import fake_learner, tiny_paper

sys.path.append(str(Path(__file__).parents[1] / "data"))
from releases import promise12


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
    gone = call("tiny", "--part", "files", "--data", tmp_path / "gone", "--out", tmp_path / "out")
    refused(gone, "With `curette reproduce`: --data FOLDER.")


@pytest.mark.usefixtures("tiny")
@pytest.mark.filterwarnings("ignore:promise12 data")
@pytest.mark.filterwarnings("ignore:split.train. 4 patients in place of 5")
def test_what_a_message_says_to_change_can_be_changed(tmp_path: Path) -> None:
    """A release of which most is missing, and one case is damaged."""
    promise12(tmp_path / "data", cases=7)
    (tmp_path / "data" / "training_data" / "Case03_segmentation.mhd").unlink()
    asked = ["tiny", "--part", "prostate", "-d", tmp_path / "data", "-o", tmp_path / "out", "-w", 1, "--json"]
    asked += ["--only", "Random"]
    refused(
        call(*asked),
        "skip_bad = true under [data]. With `curette reproduce`: --option partial=true or --skip-bad.",
    )
    told = call(*asked, "--option", "partial=true")
    refused(told, "Case03_segmentation.mhd", "With `curette reproduce`: --skip-bad.")
    done = call(*asked, "--option", "partial=true", "--skip-bad")
    assert done.exit_code == 0, done.output
    said = "Run with --skip-bad, --option partial=true: the data may be others than the recipe"
    assert said in " ".join(json.loads(done.stdout)["warnings"])
    for name in ("paper.md", "report.html"):
        assert said in (tmp_path / "out" / name).read_text(encoding="utf-8"), name
    assert len(Splits.load(tmp_path / "out" / "splits.json").train) == 4  # there are five in the recipe
    data = load_study(tmp_path / "out" / "study.toml").data
    assert (data.skip_bad, data.options) == (True, {"partial": True})
    other = call(*asked, "--option", "partial=true")
    refused(
        other, "was started with other settings", "--option and --skip-bad as they were, or another --out."
    )
    assert "=VALUE" not in other.output


@pytest.mark.usefixtures("tiny")
def test_options_of_the_data_are_read_as_in_a_study_file(tmp_path: Path) -> None:
    asked = ["tiny", "--part", "shares", "--out", tmp_path, "-w", 1, "--json", "--only", "Random"]
    asked += ["--only", "All labels"]
    refused(call(*asked, "--option", "patients"), "must be KEY=VALUE")
    refused(call(*asked, "--option", "patient=7"), "Did you mean 'patients'?")
    refused(call("--option", "patients=7"), "Say which paper")
    done = call(*asked, "--option", "patients=7", "--option", "size=[16, 16, 8]")
    assert done.exit_code == 0, done.output
    assert "Run with --option patients=7: the data" in " ".join(json.loads(done.stdout)["warnings"])
    for arm in ("", "full-data"):
        assert load_study(tmp_path / arm / "study.toml").data.options["patients"] == 7


def test_the_docs_show_every_field_of_the_outcome(tmp_path: Path, tiny: None) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.split("### reproduce")[1].split("\n### ")[0]
    found = json.loads(call("tiny", "--out", tmp_path, "--only", "Random", "--json", "-w", 1).stdout)
    cell = found["tables"][0]["rows"][0]["cells"][0]
    for key in {*found, *found["tables"][0], *found["orderings"][0], *found["tables"][0]["rows"][0], *cell}:
        assert f"`{key}`" in section, key
