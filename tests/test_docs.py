"""What README and docs say is what the code does."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tomlkit
import typer
import yaml

import curette.bench.study as bench_study
from curette import registry
from curette.cli.app import app
from curette.data.datasets import open_dataset
from curette.query.facts import Facts, named
from curette.query.strategy import ADDED, PARTS, check, parse_strategy
from curette.recipe import Study, load_study, parse_study

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


@pytest.fixture(scope="module")
def generate() -> Iterator[ModuleType]:
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("generate")
    sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def pages(generate: ModuleType) -> dict[str, str]:
    return dict(generate.pages())


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(language: str) -> list[Any]:
    blocks = []
    for page in PAGES:
        found = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
        blocks += [pytest.param(page, code, id=f"{_name(page)}-{i}") for i, code in enumerate(found)]
    return blocks


def test_generated_pages_are_current(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, (
            f"docs/{name} is out of date: run `make docs`"
        )
    for folder in ("strategies", "parts"):
        there = {f"{folder}/{path.name}" for path in (DOCS / folder).iterdir()}
        assert there == {name for name in pages if name.startswith(folder + "/")}


def test_the_navigation_is_current(generate: ModuleType) -> None:
    assert generate.CONFIG.read_text(encoding="utf-8") == generate.config(), "run `make docs`"


def test_every_setting_is_listed(generate: ModuleType) -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for path, model in generate.sections(Study):
        section = page.partition(f"## `[{path}]`" if path else "## Top level")[2].partition("\n## ")[0]
        for name, field in model.model_fields.items():
            if not generate._section(field):
                assert f"| `{name}` |" in section, f"{path}.{name}"


def test_every_strategy_is_listed_and_has_a_page() -> None:
    index = (DOCS / "strategies.md").read_text(encoding="utf-8")
    for facts in named():
        assert f"| [`{facts.name}`](strategies/{facts.name}.md)" in index
        page = (DOCS / "strategies" / f"{facts.name}.md").read_text(encoding="utf-8")
        assert f"```\n{facts.preset.text}\n```" in page
        for alias in facts.aliases:
            assert f"`{alias}`" in page
            assert f"`{alias}`" in index
        assert page.count("\n- ") >= len(facts.preset.notes)


@pytest.mark.parametrize("kind", [*PARTS, *ADDED])
def test_every_part_and_option_is_described(kind: str, generate: ModuleType, pages: dict[str, str]) -> None:
    page = pages[f"parts/{strategypages(generate).KINDS[kind][1]}.md"]
    index = (DOCS / "strategies.md").read_text(encoding="utf-8")
    for name, component in registry.components(kind).items():
        heading = re.search(rf"^## .*`{name}`.*$", page, re.M)
        assert heading, name
        section = page[heading.end() :].partition("\n## ")[0]
        assert f"[`{name}`](parts/" in index
        for option in component.options:
            assert f"| `{option}` |" in section, f"{name}: {option}"
            assert re.search(rf"\b{option}\b", told(component)), f"{kind} {name}: nothing is said of {option}"


def told(component: registry.Component) -> str:
    """A component's docstring and those of the parts that it names."""
    doc = inspect.getdoc(component.function) or ""
    words = set(re.findall(r"`(\w+)`", doc))
    others = [
        c for kind in (*PARTS, *ADDED) for name, c in registry.components(kind).items() if name in words
    ]
    return "\n".join([doc, *(inspect.getdoc(other.function) or "" for other in others)])


def strategypages(generate: ModuleType) -> ModuleType:
    return sys.modules[generate.strategy_pages.__module__]


REDUCTIONS = {"fgw", "topq"}


def test_pictures_are_small_and_belong_to_a_part() -> None:
    for folder, kind in (("maps", "scorer"), ("parts", "granularity"), ("picks", "selector")):
        found = list((DOCS / "img" / folder).iterdir())
        assert {path.stem for path in found} <= set(registry.components(kind))
        assert max(path.stat().st_size for path in found) <= 20_000


@pytest.mark.parametrize("facts", named(), ids=lambda facts: facts.name)
def test_every_strategy_has_its_picture_and_says_why_where_it_shows_no_map(facts: Facts) -> None:
    page = (DOCS / "strategies" / f"{facts.name}.md").read_text(encoding="utf-8")
    drawn = re.findall(r"!\[\w+\]\(\.\./(img/(?:maps|picks)/\w+\.png)\)", page)
    assert drawn, "draw it: python docs/pictures.py --only NAME"
    assert all((DOCS / path).is_file() for path in drawn)
    scorer = facts.strategy.scorer
    shows = scorer.name != "none" and not scorer.component.info.get("pool")
    assert (f"img/maps/{scorer.name}.png" in drawn) == (scorer.name != "none")
    assert ("**No map.** " in page) != shows


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "choosing.md"], ids=_name)
def test_strategies_that_are_advised_exist(page: Path) -> None:
    known = {name for kind in (*PARTS, *ADDED) for name in registry.components(kind)} | REDUCTIONS
    text = page.read_text(encoding="utf-8")
    lines = (
        [line for line in text.splitlines() if line.startswith("| ")] if page.name == "README.md" else [text]
    )
    found = [span for line in lines for span in re.findall(r"`([^`]+)`", line) if "curette" not in span]
    assert len(found) > 20
    for span in found:
        if span not in known and "." not in span:
            part = " > " not in span and span.partition("(")[0] in known
            parse_strategy(f"entropy > {span}" if part else span)


def test_the_advice_knows_every_family() -> None:
    text = (DOCS / "choosing.md").read_text(encoding="utf-8")
    families: dict[str, bool] = {}
    for facts in named():
        family = facts.preset.family
        families[family] = families.get(family, False) or f"`{facts.name}`" in text
    assert all(families.values()), families


def test_docstrings_become_markdown(generate: ModuleType) -> None:
    prose = sys.modules[generate.page.__module__].prose
    assert prose("A map [B, *S] or [B], x_i < 2.") == r"A map \[B, \*S] or \[B], x\_i \< 2."
    assert prose("`a_b` and ``c*d`` stay.") == "`a_b` and ``c*d`` stay."
    assert prose("one    the first\ntwo    the second,\n       [B]") == (
        "- `one` the first\n- `two` the second,\n  \\[B]"
    )
    assert prose("Text.\n\n    x = *y*\n    z") == "Text.\n\n```\nx = *y*\nz\n```"


def test_every_command_and_option_is_described() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        assert f"curette {name}" in page, name
        for parameter in command.params:
            for option in (o for o in parameter.opts if o.startswith("--")):
                assert option in page, f"curette {name} {option}"


def test_every_page_is_in_the_navigation() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("tag:", lambda *_: None)
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]
    listed: set[str] = set()

    def walk(entry: Any) -> None:
        if isinstance(entry, str):
            listed.add(entry)
        else:
            for inner in entry.values() if isinstance(entry, dict) else entry:
                walk(inner)

    walk(nav)
    assert listed == {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target) and (name := target.partition("#")[0]):
            assert (page.parent / name).exists(), f"{_name(page)} links to {target}"


@pytest.mark.parametrize(("page", "code"), _blocks("toml"))
def test_settings_in_the_docs_are_settings(page: Path, code: str) -> None:
    block = tomlkit.parse(code).unwrap()
    if "project" in block:
        return  # a piece of somebody's pyproject.toml
    block.setdefault("strategies", ["random"])
    block.setdefault("data", {}).setdefault("dataset", "phantom")
    study = parse_study(block, _name(page))
    for text in study.strategies:
        parse_strategy(text, study.data.unit)


@pytest.mark.parametrize(("page", "code"), _blocks("python"))
def test_python_in_the_docs_compiles(page: Path, code: str) -> None:
    compile(code, _name(page), "exec")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_are_studies_that_can_start(path: Path) -> None:
    study = load_study(path)
    if study.data.root is not None and not study.data.root.exists():
        pytest.skip(f"no data in {study.data.root}")
    task = open_dataset(study.data).task
    for text in study.strategies:
        check(parse_strategy(text, study.data.unit), task, study.data.unit)


def test_the_readme_shows_the_own_scorer_whole() -> None:
    script = (ROOT / "examples" / "own_scorer.py").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"```python\n{script}```" in readme
    assert len([line for line in script.splitlines() if line.strip()]) <= 25


def test_the_own_scorer_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, but on four patients and with five training steps."""
    run_study = bench_study.run_study

    def small(study: Study, folder: Path) -> Any:
        data = study.data.model_copy(update={"options": {"patients": 4, "size": [16, 16, 24]}})
        train = study.train.model_copy(update={"steps": 5})
        return run_study(study.model_copy(update={"data": data, "train": train, "seeds": (0,)}), folder)

    known = dict(registry._components)
    monkeypatch.setattr(bench_study, "run_study", small)
    monkeypatch.chdir(tmp_path)
    source = ROOT / "examples" / "own_scorer.py"
    try:
        exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), {"__name__": "__main__"})
    finally:
        registry._components.clear()
        registry._components.update(known)
    folder = tmp_path / "runs" / "own-scorer"
    assert (folder / "report.html").stat().st_size > 10_000
    assert "gini" in (folder / "picks.csv").read_text(encoding="utf-8")
