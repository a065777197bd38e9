"""A part from its recipe to the tables beside the paper's, with the fake learner."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from curette.bench.beside import load_beside
from curette.bench.report import build_report
from curette.errors import CuretteError, DataError, SettingError
from curette.papers import PAPERS
from curette.papers.reproduce import plan, run
from curette.recipe import Study
from fakes import FakeLearner
from tiny_paper import fake_learner, tiny_paper

PAPER = tiny_paper()
MADE_UP = [
    (p.name, part.name) for p in PAPERS.values() for part in p.parts if part.name.startswith("phantom")
]


def reproduce(name: str, folder: Path, **options: Any) -> dict[str, Any]:
    learner = options.pop("make_learner", fake_learner)
    part, studies = plan(PAPER.part(name), "full", **options)
    return run(PAPER, part, "full", studies, folder, make_learner=learner)


def test_a_part_ends_with_the_papers_table_beside_ours(tmp_path: Path) -> None:
    found = reproduce("queries", tmp_path)
    kept = json.loads((tmp_path / "paper.json").read_text(encoding="utf-8"))
    assert kept == found
    (table,) = found["tables"]
    rows = {row["name"]: row for row in table["rows"]}
    *dice, distance = rows["Entropy+SB"]["cells"]
    for cell in dice:
        assert cell["seeds"] == 2
        assert cell["difference"] == pytest.approx(cell["ours"] - cell["paper"])
    assert distance["seeds"] == 2
    assert distance["difference"] is None, "mm here, voxels in the paper"
    assert rows["TTA"]["cells"][0]["ours"] is None
    orders = {(o["better"], o["metric"]): o for o in found["orderings"]}
    assert orders["Entropy+SB", "dice_3d"]["seeds"] == 2
    assert orders["TTA+SB", "dice_3d"]["verdict"] == "not run"
    assert "2 seeds cannot reach" in found["warnings"][-1]

    page = (tmp_path / "paper.md").read_text(encoding="utf-8")
    assert "| Entropy+SB against Entropy |" in page
    assert "– / 64.07 / –" in page
    assert "- A choice." in page
    assert "- A later step." in page
    lines = list(csv.DictReader((tmp_path / "paper.csv").open(encoding="utf-8")))
    assert len(lines) == 10 * 3
    assert lines[0]["row"] == "Random"
    assert float(lines[0]["paper"]) == 68.83

    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Beside the paper" in report
    assert "1 choices where paper" in report
    assert "Entropy+SB against Entropy" in report


def test_a_stand_in_has_its_arms_beside_it_and_says_what_it_is(tmp_path: Path) -> None:
    found = reproduce("shares", tmp_path)
    assert "stands for 'queries'" in found["warnings"][0]
    (table,) = found["tables"]
    cells = {row["name"]: row["cells"] for row in table["rows"]}
    assert cells["Random"][-1]["ours"] == cells["SBC-AL"][-1]["ours"] is not None
    assert cells["Random"][-1]["difference"] is None
    for folder in (tmp_path, tmp_path / "full-data"):
        assert (folder / "results.csv").is_file()
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert "compare orders, not levels" in page


def test_a_finished_part_is_not_trained_again_and_a_report_can_be_rebuilt(tmp_path: Path) -> None:
    before = reproduce("queries", tmp_path)

    def never(study: Any, prepared: Any) -> FakeLearner:
        raise AssertionError("a learner was made")

    assert reproduce("queries", tmp_path, make_learner=never) == before
    page = (tmp_path / "report.html").read_bytes()
    build_report(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == page
    (tmp_path / "paper.json").unlink()
    build_report(tmp_path)
    assert b"Beside the paper" not in (tmp_path / "report.html").read_bytes()


def test_rows_can_be_left_out_and_added_later(tmp_path: Path) -> None:
    first = reproduce("queries", tmp_path, only=("Random", "entropy"), seeds=1)
    (table,) = first["tables"]
    cells = {row["name"]: row for row in table["rows"]}
    assert cells["Entropy"]["cells"][0]["seeds"] == 1
    assert cells["Entropy+SB"]["missing"] == "left out"
    second = reproduce("queries", tmp_path)
    assert all(o["seeds"] == 2 for o in second["orderings"] if o["better"] == "Entropy+SB")
    _, studies = plan(PAPER.part("shares"), "full", only=("Margin",))
    assert list(studies) == [""], "an arm without rows is left out"


def test_what_a_part_cannot_do_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="Did you mean 'Entropy'"):
        plan(PAPER.part("queries"), "full", only=("Entrpy",))
    with pytest.raises(SettingError, match="leave --data out"):
        plan(PAPER.part("queries"), "full", tmp_path)
    with pytest.raises(SettingError, match=r"needs --data.*curette datasets msd"):
        plan(PAPER.part("files"), "full")
    with pytest.raises(SettingError, match="scans are private"):
        plan(PAPER.part("gone"), "full")
    with pytest.raises(SettingError, match="1 or more"):
        plan(PAPER.part("queries"), "full", seeds=0)
    with pytest.raises(DataError, match=r"dataset\.json"):
        reproduce("files", tmp_path / "out", data=tmp_path)
    assert not (tmp_path / "out").exists()


class Failing(FakeLearner):
    """Cannot answer for more than five labelled units."""

    def fit(self, labels: Any, **options: Any) -> Any:
        if len(labels) > 5:
            raise CuretteError("too many labels")
        return super().fit(labels, **options)


def failing_learner(study: Any, prepared: Any) -> FakeLearner:
    return Failing(prepared.task, prepared)


def test_what_fails_leaves_tables_of_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(CuretteError, match="too many labels"):
        reproduce("queries", tmp_path, make_learner=failing_learner)
    assert "– / 68.83 / –" in (tmp_path / "paper.md").read_text(encoding="utf-8")


def test_a_foreign_study_is_left_alone(tmp_path: Path) -> None:
    reproduce("shares", tmp_path)
    (tmp_path / "paper.json").unlink()
    with pytest.raises(SettingError, match="strategies or seeds that are not in it"):
        reproduce("queries", tmp_path)
    assert not (tmp_path / "paper.json").exists()


def test_a_damaged_paper_json_is_named(tmp_path: Path) -> None:
    assert load_beside(tmp_path) is None
    (tmp_path / "paper.json").write_text('{"tables": [1]}', encoding="utf-8")
    with pytest.raises(DataError, match=r"paper\.json is damaged"):
        load_beside(tmp_path)


@pytest.mark.parametrize(("name", "part"), MADE_UP)
def test_every_paper_runs_on_made_up_data(name: str, part: str, tmp_path: Path) -> None:
    """The rows that the fake learner can answer, on small patients, from the recipe to the tables."""
    paper = PAPERS[name]
    sizes = {"phantom": {"size": [16, 16, 8], "patients": 60}, "lesions": {"size": [16, 16], "images": 200}}
    asked = [r.name for r in paper.part(part).rows if r.strategy in ("random", "entropy", "least_confidence")]
    chosen, studies = plan(paper.part(part), "small", seeds=1, only=asked)
    tiny = {
        arm: study.model_copy(
            update={
                "data": study.data.model_copy(
                    update={"options": study.data.options | sizes[study.data.dataset]}
                ),
                "gallery": False,
            }
        )
        for arm, study in studies.items()
    }
    found = run(paper, chosen, "small", tiny, tmp_path, make_learner=fake_learner)
    cells = [c for t in found["tables"] for row in t["rows"] if row["name"] in asked for c in row["cells"]]
    assert any(c["ours"] is not None for c in cells)
    assert any("stands for" in warning for warning in found["warnings"])


def test_each_way_of_refining_stands_in_its_row(tmp_path: Path) -> None:
    """SBC-AL's Table 3: one strategy, four networks, each in a folder of its own."""
    paper = PAPERS["sbc-al"]
    part, studies = plan(paper.part("phantom-refinement"), "small", seeds=2)
    for kind, study in studies.items():
        assert study.train.companions == (f"structure_boundary(refine={kind})",)
        assert study.query.initial == "100%"
    tiny = {arm: _least(study) for arm, study in studies.items()}
    found = run(paper, part, "small", tiny, tmp_path, make_learner=fake_learner)
    (table,) = found["tables"]
    assert [row["name"] for row in table["rows"]] == ["None", "Add", "Concat", "ASR"]
    assert all(cell["seeds"] == 2 for row in table["rows"] for cell in row["cells"])
    for kind in ("none", "add", "concat", "attention"):
        assert (tmp_path / kind / "report.html").is_file()
    assert {(o["better"], o["worse"]) for o in found["orderings"]} == {
        ("ASR", "None"), ("ASR", "Add"), ("ASR", "Concat"),
    }  # fmt: skip
    assert not [o for o in found["orderings"] if o["verdict"] == "not run"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The 21 epochs of the training that goes on were used up")
@pytest.mark.parametrize(("name", "part"), MADE_UP)
def test_every_row_of_every_paper_is_trained_and_queried(name: str, part: str, tmp_path: Path) -> None:
    """Its own network, companions, triggers and strategies, with as little of everything as will do."""
    paper = PAPERS[name]
    chosen, studies = plan(paper.part(part), "small", seeds=1)
    found = run(paper, chosen, "small", {arm: _least(study) for arm, study in studies.items()}, tmp_path)
    for table in found["tables"]:
        for row in table["rows"]:
            assert row["missing"] or any(cell["ours"] is not None for cell in row["cells"]), row["name"]
    assert not [o for o in found["orderings"] if o["verdict"] == "not run"]


def _least(study: Study) -> Study:
    """The study on small patients, in two batches a training, or in epochs enough for its triggers."""
    depth = 16 if study.data.unit == "volume" else 8
    sizes = {"phantom": {"size": [16, 16, depth]}, "lesions": {"size": [16, 16]}}
    changes: dict[str, Any] = {"steps": 2, "batch": 4} if study.train.epochs is None else {"epochs": 21}
    if study.train.crop:
        changes["crop"] = (16, 16, 16)
    data = study.data.model_copy(update={"options": study.data.options | sizes[study.data.dataset]})
    train = study.train.model_copy(update=changes)
    return study.model_copy(update={"data": data, "train": train, "gallery": False})
