"""The doctor tells what is there, what is missing, and what to do about it."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curette.cli import app, doctor


def found(findings: list[doctor.Finding]) -> dict[str, doctor.Finding]:
    return {f.what: f for f in findings}


def test_json_and_table_agree() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["healthy"] is True
    names = [f["what"] for f in told["findings"]]
    assert {"python", "torch", "devices", "precision", "processor", "cache", "extra dev", "data"} <= set(
        names
    )
    assert all(set(f) == {"what", "state", "found", "advice"} for f in told["findings"])
    table = CliRunner().invoke(app, ["doctor"]).stdout
    assert [line.split("  ")[0] for line in table.splitlines()[2:]] == names


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CURETTE_CACHE", str(tmp_path / "file" / "cache"))
    cache = found(doctor._cache())["cache"]
    assert cache.state == "missing"
    assert "CURETTE_CACHE" in cache.advice
    assert not doctor.healthy([cache])


def test_little_room_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ROOM", 2**80)
    assert found(doctor._cache())["cache"].state == "note"


def test_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    there = metadata.version

    def version(name: str) -> str:
        if name == "mkdocs-material":
            raise metadata.PackageNotFoundError(name)
        return there(name)

    monkeypatch.setattr(metadata, "version", version)
    extras = found(doctor._extras())
    assert extras["extra docs"].state == "note"
    assert "mkdocs-material" in extras["extra docs"].found
    assert extras["extra docs"].advice == "Run: pip install 'curette[docs]'"
    assert extras["extra dev"].state == "ok"


def test_missing_package_is_no_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "monai" else "1")
    findings = doctor._packages()
    assert found(findings)["monai"].state == "missing"
    assert not doctor.healthy(findings)


def test_data_sets_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURETTE_DATA", str(tmp_path))
    (tmp_path / "Task04_Hippocampus").mkdir()
    (tmp_path / "Task04_Hippocampus" / "dataset.json").write_text("{}")
    (tmp_path / "medmnist").mkdir()
    (tmp_path / "medmnist" / "pneumoniamnist.npz").write_bytes(b"")
    data = found(doctor._data())["data"].found
    assert "Task04_Hippocampus" in data
    assert "pneumoniamnist.npz" in data
    monkeypatch.setenv("CURETTE_DATA", str(tmp_path / "none"))
    assert found(doctor._data())["data"].state == "note"
