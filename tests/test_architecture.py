"""The house: imports point down, light modules stay light, nothing asks which strategy is running."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curette.query.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
LAYERS = [
    "__main__",
    "cli",
    "papers",
    "bench",
    "loop",
    "query",
    "learn",
    "data",
]  # from top to bottom; the rest is the ground floor
GROUND = [
    "errors",
    "files",
    "seeds",
    "region",
    "task",
    "registry",
    "text",
    "recipe",
]  # each imports only what stands before it
MODULES = sorted(p for p in (SOURCE / "curette").rglob("*.py"))


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of every import of the package, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "curette"
            )
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "a relative import"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "curette":
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _part(module: str) -> str:
    return [*module.split("."), ""][1]


def _height(part: str) -> int:
    return LAYERS[::-1].index(part) + 1 if part in LAYERS else 0


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_point_down(path: Path) -> None:
    here = _part(_name(path))
    for line, target in _imports(path):
        assert target != "a relative import", f"{path}:{line}: write the import in full"
        there = _part(target)
        if here in GROUND and there in GROUND:
            assert GROUND.index(there) < GROUND.index(here), f"{path}:{line}: {here} must not import {there}"
        elif here:
            assert _height(there) <= _height(here), f"{path}:{line}: {here} must not import {there}"


def test_every_part_of_the_package_has_its_place() -> None:
    assert {_part(_name(p)) for p in MODULES} - {""} <= {*LAYERS, *GROUND}


def _light() -> list[str]:
    named = [
        "curette.cli",
        "curette.learn.evaluate",
        "curette.learn.learner",
        "curette.learn.passes",
        "curette.learn.prediction",
        "curette.loop.ledger",
    ]
    folders = ("curette.query", "curette.data")
    found = [_name(p) for p in MODULES if _name(p).startswith(folders)]
    return sorted({"curette", *named, *found} - {"curette.data.augment"})  # works on tensors


def test_light_modules_load_no_torch() -> None:
    """One process for all of them; each is named if it is the first that brings torch in."""
    script = (
        "import importlib, sys\n"
        f"for name in {_light()!r}:\n"
        "    importlib.import_module(name)\n"
        "    heavy = [m for m in ('torch', 'monai', 'lightning_fabric', 'sklearn') if m in sys.modules]\n"
        "    assert not heavy, f'importing {name} loads {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]


def test_help_and_lists_of_the_command_line_load_no_torch() -> None:
    for words in (["--help"], ["strategies"], ["datasets"]):
        script = (
            "import sys\n"
            f"sys.argv = ['curette', *{words!r}]\n"
            "from curette.cli import main\n"
            "try:\n    main()\n"
            "except SystemExit as end:\n    assert not end.code, end.code\n"
            "assert 'torch' not in sys.modules\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"curette {' '.join(words)}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_modules_say_what_they_are(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    tree = ast.parse(code)
    assert ast.get_docstring(tree) or not tree.body, f"{path} has no docstring"
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError"):
        assert word not in code, f"{path} is unfinished: {word}"


def test_nothing_asks_which_strategy_it_is() -> None:
    """A strategy is its parts: code that compares with a preset's name would treat one of them specially."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                words = [c.value for c in ast.walk(node) if isinstance(c, ast.Constant)]
                named = [w for w in words if isinstance(w, str) and w in PRESETS]
                allowed = path.is_relative_to(SOURCE / "curette" / "bench")  # reports compare against random
                assert not named or allowed, f"{path}:{node.lineno} compares with {named}"


def test_files_are_of_readable_length() -> None:
    lengths = sorted(
        len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES if p.name != "__init__.py"
    )
    assert lengths[-1] <= 400
    assert lengths[len(lengths) // 2] <= 220
