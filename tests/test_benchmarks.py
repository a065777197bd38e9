"""Benchmarks are not run by tests, but they have to fit the code they measure."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_what_a_benchmark_takes_from_the_library_is_there(script: Path) -> None:
    found = 0
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("curette"):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                if not hasattr(
                    module, name.name
                ):  # a module inside a package is no attribute before it is imported
                    importlib.import_module(f"{node.module}.{name.name}")
                found += 1
    text = script.read_text(encoding="utf-8")
    assert found or "curette" in text


def test_there_are_benchmarks() -> None:
    assert len(SCRIPTS) > 5
