"""The command line as a user meets it: exit codes, messages, JSON, and how light it is to start."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import curette
from curette.cli import app
from curette.recipe import Study, dump_study
from study_folder import write_folder
from tiny_study import tiny_study

HEAVY = (
    "torch",
    "matplotlib",
    "sklearn",
    "scipy",
    "numpy",
    "monai",
    "pydantic",
    "sqlalchemy",
    "rich.progress",
)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "curette", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, **options)


def refused(result: Result | subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, nothing on stdout, one paragraph on stderr that has the words."""
    code = result.exit_code if isinstance(result, Result) else result.returncode
    assert code == 2, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "\n\n" not in result.stderr
    for word in words:
        assert word in result.stderr


def write_study(path: Path, study: Study | None = None) -> Path:
    study = study or tiny_study(
        strategies=["random", "entropy"],
        seeds=[0],
        train={"steps": 2, "batch": 2},
        query={"cycles": 2},
        gallery=True,
    )
    path.write_text(dump_study(study), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A study run through the command line with the real learner, and what was printed."""
    folder = tmp_path_factory.mktemp("ran")
    return folder / "out", call("run", write_study(folder / "study.toml"), "--out", folder / "out")


def test_importing_is_light() -> None:
    code = f"import sys, curette.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = f"""
import sys, curette.cli
sys.argv = ["curette", "--help"]
try:
    curette.cli.main()
except SystemExit as end:
    assert end.code == 0
print([m for m in {HEAVY!r} if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    for name in ("demo", "run", "report", "strategies", "datasets", "models", "doctor"):
        assert re.search(rf"^  {name} ", done.stdout, re.M)
    assert done.stdout.isascii() or "╭" not in done.stdout


def test_version() -> None:
    result = call("--version")
    assert (result.exit_code, result.stdout) == (0, f"curette {curette.__version__}\n")


def test_run_ends_with_a_table_and_the_report(ran: tuple[Path, Result]) -> None:
    folder, result = ran
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^random +0\.\d{3}", result.stdout, re.M)
    assert "difference to random" in result.stdout
    assert result.stdout.splitlines()[-1] == f"report: {folder / 'report.html'}"
    assert (folder / "report.html").stat().st_size > 20_000
    assert "running: 18 of 18" in result.stderr
    assert len(list((folder / "gallery").iterdir())) == 2
    assert "Apache-2.0" in (folder / "report.html").read_text(encoding="utf-8")


def test_run_again_does_nothing_twice(ran: tuple[Path, Result]) -> None:
    folder, first = ran
    before = (folder / "results.csv").read_bytes()
    again = call("run", folder.parent / "study.toml", "--out", folder)
    assert again.exit_code == 0
    assert again.stdout == first.stdout
    assert (folder / "results.csv").read_bytes() == before


def test_run_prints_json_and_nothing_else(ran: tuple[Path, Result]) -> None:
    folder, _ = ran
    result = call("run", folder.parent / "study.toml", "--out", folder, "--json")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert found["finished"] is True
    assert found["report"] == str(folder / "report.html")
    assert [s["strategy"] for s in found["strategies"]] == ["random", "entropy"]
    assert found["strategies"][1]["difference"]["n"] == 1
    assert found["strategies"][1]["difference"]["low"] is None


def test_more_strategies_can_be_added(ran: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = ran
    arguments = ("run", folder.parent / "study.toml", "--out", folder, "--strategy")
    refused(call(*arguments, "entropi"), "entropi", "Did you mean 'entropy'")
    refused(call(*arguments, "entropy > bottoms"), "bottom")
    result = call(*arguments, "single > entropy > unit > bottom", "--strategy", "entropy", "--json")
    assert [s["strategy"] for s in json.loads(result.stdout)["strategies"]][2:] == [
        "single > entropy > unit > bottom"
    ]


def test_folder_is_named_after_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = tiny_study(strategies=["random"], seeds=[0], train={"steps": 1, "batch": 1}, query={"cycles": 1})
    write_study(tmp_path / "s.toml", study.model_copy(update={"name": "a/b: c?"}))
    assert call("run", "s.toml").exit_code == 0
    assert (tmp_path / "runs" / "a-b- c" / "report.html").is_file()


def test_study_edited_after_it_started(ran: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = ran
    text = (folder.parent / "study.toml").read_text(encoding="utf-8").replace("steps = 2", "steps = 3")
    (tmp_path / "edited.toml").write_text(text, encoding="utf-8")
    refused(call("run", tmp_path / "edited.toml", "--out", folder), "steps", "other settings", "--out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("strategies = 3", ["strategies"]),
        ("seeds = []", ["seeds"]),
        ("nmae = 'x'", ["nmae", "Did you mean 'name'"]),
        ("[data]\ndataset = 'phantm'", ["phantm", "Did you mean 'phantom'"]),
        ("[data]\ndataset = 'phantom'\noptions = {patient = 3}", ["patient", "patients"]),
        ("[data]\ndataset = 'msd'", ["data.root"]),
        ("[query]\nbudget = 5000", ["query.budget", "5000"]),
        ("[train]\nmodel = 'unett'", ["unett", "Did you mean 'unet'"]),
        ("strategies = ['random', 'entropi']", ["entropi", "Did you mean 'entropy'"]),
        ("this is no toml", ["study.toml", "TOML"]),
    ],
)
def test_bad_studies_are_refused_before_anything_is_written(
    tmp_path: Path, change: str, words: list[str]
) -> None:
    text = change if "strategies" in change else f"strategies = ['random']\n{change}"
    if "[data]" not in change:
        text += "\n[data]\ndataset = 'phantom'\nunit = 'slice'\n"
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    refused(call("run", path, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "nowhere.toml"], "nowhere.toml"),
        (["run"], "STUDY.toml"),
        (["report", "nowhere"], "nowhere"),
        (["report"], "DIR"),
        (["rum"], "rum"),
        (["demo", "--workers", "many"], "--workers"),
        (["demo", "--workers", "0", "--out", "x"], "workers"),
        (["--nonsense"], "nonsense"),
    ],
)
def test_bad_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert word in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(
        call("run", write_study(tmp_path / "s.toml"), "--out", tmp_path / "file" / "out"), "file", "--out"
    )


def test_report_of_an_unfinished_study(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "made", pictures=False, reached=lambda s, seed: 5 if s == "random" else 2
    )
    result = call("report", folder, "--picture", tmp_path / "figure.png")
    assert result.exit_code == 0, result.stderr
    assert "note: unfinished: 3 of 12 runs are complete" in result.stdout
    assert re.search(r"^entropy +– +–$", result.stdout, re.M)
    assert (tmp_path / "figure.png").is_file()
    found = json.loads(call("report", folder, "--json").stdout)
    assert len(found["unfinished"]) == 9
    assert found["picture"] is None
    refused(call("report", folder, "--picture", tmp_path / "figure.xyz"), "figure.xyz", "png")


def test_report_rebuilds_the_tables(ran: tuple[Path, Result]) -> None:
    folder, _ = ran
    before = (folder / "picks.csv").read_bytes()
    (folder / "picks.csv").write_text("gone", encoding="utf-8")
    assert call("report", folder).exit_code == 0
    assert (folder / "picks.csv").read_bytes() == before


def test_lists() -> None:
    found = json.loads(call("strategies", "--json").stdout)
    named = {s["name"]: s for s in found["strategies"]}
    assert named["random"]["strategy"] == "none > none > unit > random"
    assert {"strided_random", "bald", "pcdal", "pcdal_lpi", "core_set", "stochastic_batches"} <= set(named)
    added = {"companion", "trigger", "teacher"}
    assert set(found["parts"]) == {"passes", "scorer", "granularity", "selector"} | added
    assert {"learning_loss", "plateau", "ceal"} <= {p["name"] for k in added for p in found["parts"][k]}
    dropout = next(p for p in found["parts"]["passes"] if p["name"] == "dropout")
    assert dropout["options"] == {"n": 10}
    assert set(found["parts"]["scorer"][0]) == {"name", "summary", "paper", "options", "needs", "min_passes"}
    assert named["bald"] | {"when": "", "fails": "", "notes": []} == {
        "name": "bald",
        "strategy": "dropout(10) > mutual_information > unit > top",
        "when": "",
        "paper": "Houlsby et al. 2011; Gal et al. 2017",
        "uses_truth": False,
        "aliases": ["jsd", "mutual_information"],
        "family": "many passes",
        "fails": "",
        "year": 2011,
        "cost": "10 passes",
        "needs": ["dropout"],
        "passes": 10,
        "networks": 1,
        "features": False,
        "labels": False,
        "columns": [],
        "notes": [],
    }
    assert json.loads(call("strategies", "bald", "--json").stdout) == named["bald"]
    sets = json.loads(call("datasets", "--json").stdout)["datasets"]
    assert {d["name"] for d in sets} >= {"folder", "medmnist", "msd", "phantom"}
    networks = json.loads(call("models", "--json").stdout)["models"]
    assert {m["name"] for m in networks} >= {"unet", "resnet34_unet", "pcdal_unet"}
    (pcdal,) = (m for m in networks if m["name"] == "pcdal_unet")
    assert pcdal["kinds"] == ["segmentation"]
    assert pcdal["parameters"]["3d"] > 2 * pcdal["parameters"]["2d"] > 0
    for name in ("strategies", "datasets", "models"):
        result = call(name)
        assert result.exit_code == 0
        assert "┃" not in result.stdout
        assert "\x1b" not in result.stdout


@pytest.mark.parametrize("width", [80, 100, 160])
def test_strategies_are_readable_in_any_window(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from curette.query.presets import PRESETS

    monkeypatch.setenv("COLUMNS", str(width))
    result = call("strategies")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert max(map(len, lines)) <= width
    for name, preset in PRESETS.items():
        assert any(re.match(rf"(= )?{name}\b", line) for line in lines), name
        assert preset.when.split()[0] in result.stdout
    assert any(re.match(r"dropout\(n=10\)( |$)", line) for line in lines)


def test_one_strategy_is_told_in_full() -> None:
    result = call("strategies", "jsd")
    assert "dropout(10) > mutual_information > unit > top" in result.stdout
    assert "bald, mutual_information" in result.stdout
    refused(call("strategies", "jds"), "Did you mean 'jsd'")


@pytest.mark.parametrize("word", ["one pass", "one-pass", "One_Pass"])
def test_strategies_of_one_family(word: str) -> None:
    from curette.query.presets import PRESETS

    text = call("strategies", "--family", word).stdout
    for name, preset in PRESETS.items():
        listed = bool(re.search(rf"^(= )?{name}\b", text, re.M))
        assert listed == (preset.family == "one pass"), name
    assert "PARTS" not in text
    found = json.loads(call("strategies", "-f", word, "--json").stdout)
    assert {s["family"] for s in found["strategies"]} == {"one pass"}
    added = {"companion", "trigger", "teacher"}
    assert set(found["parts"]) == {"passes", "scorer", "granularity", "selector"} | added
    assert {"learning_loss", "plateau", "ceal"} <= {p["name"] for k in added for p in found["parts"][k]}


def test_a_family_that_does_not_exist_is_answered_with_those_that_do() -> None:
    refused(call("strategies", "--family", "many-pass"), "Did you mean 'many passes'")
    refused(call("strategies", "--family", "none"), "control, one pass, many passes")
    refused(call("strategies", "bald", "--family", "hybrid"), "not both")


def test_own_warnings_are_one_line_and_others_are_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    from curette.cli.terminal import show_warnings
    from curette.errors import CuretteWarning

    with warnings.catch_warnings():
        warnings.resetwarnings()
        monkeypatch.setattr(sys, "warnoptions", [])
        show_warnings()
        for _ in range(2):
            warnings.warn("three scores were not finite", CuretteWarning, stacklevel=1)
            warnings.warn("internals", FutureWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: three scores were not finite\n"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_says_how_to_go_on_and_the_study_can(tmp_path: Path) -> None:
    study = tiny_study(
        strategies=["random"], seeds=[0], train={"steps": 4000, "batch": 2}, query={"cycles": 2}
    )
    # Shells that run tests in the background have their children ignore Ctrl-C; a terminal does not.
    heed = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    line = [
        sys.executable,
        "-c",
        f"{heed}; runpy.run_module('curette', run_name='__main__')",
        "run",
        str(write_study(tmp_path / "s.toml", study)),
        "--out",
        str(tmp_path / "o"),
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 300  # busy machines take their time over imports
    while not (tmp_path / "o" / "ledger.db").exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("stopped; run the same command to go on\n")
    assert "Traceback" not in err
    assert (tmp_path / "o" / "results.csv").is_file()


def test_error_in_a_process_of_its_own(tmp_path: Path) -> None:
    refused(command("run", tmp_path / "none.toml"), "none.toml")


def test_the_docs_name_every_command_and_option() -> None:
    from typer.main import get_command

    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, found in get_command(app).commands.items():  # type: ignore[attr-defined]
        line = next(part for part in page.splitlines() if part.startswith(f"curette {name} "))
        for parameter in found.params:
            assert max(parameter.opts, key=len) in line or parameter.metavar in line, (name, parameter.opts)


def test_the_docs_show_every_field_of_the_outcome(ran: tuple[Path, Result]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    shown = json.loads(page.split("```json\n")[1].split("```")[0])
    folder, _ = ran
    found = json.loads(call("report", folder, "--json").stdout)
    assert set(shown) | {"picture"} == set(found)
    assert set(shown["strategies"][0]) == set(found["strategies"][1])
    assert set(shown["strategies"][0]["difference"]) == set(found["strategies"][1]["difference"])
