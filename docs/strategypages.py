"""The pages about strategies: an index, a page for each named strategy, and one for each kind of part.

Everything comes from the presets and from the docstrings of their parts; `docs/generate.py` writes it.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from markup import page, prose, table

from curette.cli import catalogue
from curette.errors import SettingError
from curette.query.facts import Facts, named
from curette.query.presets import FAMILIES
from curette.query.rehearsal import made_up
from curette.query.scoring import score_map
from curette.query.strategy import check, parse_strategy
from curette.region import Region
from curette.registry import Bound, Component, components
from curette.task import Task

IMG = Path(__file__).resolve().parent / "img"

KINDS = {
    "passes": ("Passes", "passes", "How the model is asked, and how often."),
    "scorer": ("Scorers", "scorers", "What is measured. Higher = query first, always."),
    "granularity": (
        "Granularities",
        "granularities",
        "What can be picked, and how a map of scores becomes its score.",
    ),
    "selector": (
        "Selectors",
        "selectors",
        "How a batch is chosen from the scores, the features, or neither.",
    ),
    "companion": (
        "Companions",
        "companions",
        "What is trained along with the network, for scorers that look at what it says. A strategy that needs one has it by "
        "itself; options are set behind a `+`: `learning_loss + learning_loss(margin=0)`. `train.companions` adds them to all "
        "strategies of a study, so that their models are the same.",
    ),
    "trigger": (
        "Triggers",
        "triggers",
        "When the next query is due, behind a `+` for one strategy or as `query.trigger` for all. A trigger that counts epochs "
        'ends the training as soon as it is due, and goes well with `train.start = "continue"`: one training to which labels '
        "are added.",
    ),
    "teacher": (
        "Teachers",
        "teachers",
        "What the model of one cycle teaches that of the next, behind a `+`. Such pseudo-labels are made anew in every cycle, "
        "are counted in the record, and are no labels of the ledger.",
    ),
}
"""Kind of part → title and file name of its page, and what it answers."""

GRAMMAR = (
    "A strategy is a sentence of four parts, and every published method is one with its own words:",
    "```\npasses > scorer > granularity > selector\n```",
    "| write | to get |\n|---|---|\n"
    "| `bald` | a strategy that has a name (below) |\n"
    "| `bald > stochastic_batches` | the same with another selector |\n"
    "| `dropout(20) > entropy > top` | three parts: whole units (images or slices) are picked |\n"
    "| `flips > variance > slice > stochastic_batches` | all four |",
    "Options go in brackets, by position or by name: `dropout(20)`, `dropout(n=20)`. Spaces do not matter. A part may be an "
    "option of another, as in the selectors that wrap one. What cannot work together, such as a scorer that compares passes "
    "with a single pass, is refused before anything is trained.",
)

VARIATIONS = (
    ("{name} > stochastic_batches", "the best of many random groups instead of the best regions"),
    ("{name} > per_class({selector})", "a share of the batch for every class"),
    ("{name} > cap({selector}, patient=2)", "at most two regions of a patient"),
    ("{passes} > {scorer} > {granularity} > k_center", "the same passes, chosen for variety"),
    ("ensemble(5) > {scorer} > {granularity} > {selector}", "five networks instead of one"),
    ("dropout(10) > {scorer} > {granularity} > {selector}", "ten passes with dropout"),
    ("{passes} > {scorer} > patch(16,16) > {selector}", "patches instead of whole images"),
    ("single > entropy > {granularity} > {selector}", "with another score"),
)
"""Other strategies that a page suggests, as far as they work."""

_TASK = Task(
    kind="segmentation", dims=2, classes={"background": 0, "organ": 1, "lesion": 2}, channels=("T1",)
)


@cache
def everyone() -> tuple[Facts, ...]:
    """Every named strategy once; read once, as every page looks through all of them."""
    return tuple(named())


def strategy_pages() -> dict[str, str]:
    """The text of every page about strategies and their parts, by path below ``docs``."""
    found = {"strategies.md": index_page()}
    found |= {f"strategies/{facts.name}.md": strategy_page(facts) for facts in everyone()}
    return found | {f"parts/{file}.md": parts_page(kind) for kind, (_, file, _) in KINDS.items()}


def navigation() -> list[str]:
    """Lines for the navigation in ``mkdocs.yml``: strategies by family, then parts."""
    lines = ["  - Strategies:", "      - Overview: strategies.md", "      - Which to choose: choosing.md"]
    for family, members in by_family():
        lines.append(f"      - {family.capitalize()}:")
        lines += [f"          - {facts.name}: strategies/{facts.name}.md" for facts in members]
    lines.append("  - Parts of strategies:")
    return lines + [f"      - {title}: parts/{file}.md" for title, file, _ in KINDS.values()]


def by_family() -> Iterator[tuple[str, list[Facts]]]:
    """Families that have members, in their order."""
    for family in FAMILIES:
        if members := [facts for facts in everyone() if facts.preset.family == family]:
            yield family, members


def index_page() -> str:
    out = [
        "# Strategies",
        *GRAMMAR,
        "Which one to take is discussed under [Which strategy to choose](choosing.md). The same table in a terminal: "
        "`curette strategies`.",
        "## Named strategies",
    ]
    header = ("strategy", "cost, needs", "when it helps", "when it fails", "paper")
    for family, members in by_family():
        out += [f"### {family.capitalize()}", FAMILIES[family], table(header, map(_row, members))]
    rows = [
        (f"[{title}](parts/{file}.md)", about, _names(kind)) for kind, (title, file, about) in KINDS.items()
    ]
    out += [
        "## Parts",
        "Own parts join by registration, see the [tutorial](tutorial.md#an-own-scorer).",
        table(("part", "the question it answers", "there are"), rows),
    ]
    return page(out)


def strategy_page(facts: Facts) -> str:
    preset, strategy = facts.preset, facts.strategy
    about = [
        ("family", preset.family),
        ("also known as", ", ".join(f"`{alias}`" for alias in facts.aliases)),
        ("cost", facts.cost),
        ("needs", ", ".join(facts.needs) or "nothing but a trained network"),
        ("paper", preset.paper),
    ]
    out = [f"# {facts.name}", f"```\n{preset.text}\n```", f"**Helps.** {prose(preset.when)}"]
    if preset.fails:
        out.append(f"**Fails.** {prose(preset.fails)}")
    if facts.truth:
        out.append(
            "!!! warning\n\n    It looks at ground truth, which only a simulation has. Every report marks it with †."
        )
    out.append(table(("", ""), [row for row in about if row[1]]))
    out += _mapless(facts)
    for part in strategy.parts:
        if part.name != "none":
            out += _part(part)
    for companion in strategy.companions:
        out += _part(companion)
    if preset.notes:
        out += ["## Where sources disagree", "\n".join(f"- {prose(note)}" for note in preset.notes)]
    if others := list(_variations(facts)):
        out += ["## Others of its kind", table(("write", "to get"), others)]
    return page(out)


def parts_page(kind: str) -> str:
    title, _, about = KINDS[kind]
    out = [f"# {title}", about]
    for names, component in _groups(kind):
        out.append(f"## {', '.join(f'`{n}`' for n in names)} {{#{names[0]}}}")
        out += [prose(inspect.getdoc(component.function) or ""), *_picture(kind, component.name)]
        if component.options:
            rows = [
                (f"`{n}`", _default(value)) for n, value in catalogue.describe(component)["options"].items()
            ]
            out.append(table(("option", "default"), rows))
        out += list(_facts(component))
        if users := [f for f in everyone() if any(n in _uses(f, kind) for n in names)]:
            links = ", ".join(f"[{f.name}](../strategies/{f.name}.md)" for f in users)
            out.append(f"Used by {links}.")
    return page(out)


def _row(facts: Facts) -> tuple[str, ...]:
    preset = facts.preset
    name = f"[`{facts.name}`](strategies/{facts.name}.md)"
    also = "".join(f", `{alias}`" for alias in facts.aliases)
    cost = "; ".join([facts.cost, *facts.needs])
    return name + also, cost, prose(preset.when), prose(preset.fails), prose(preset.paper)


def _part(part: Bound) -> Iterator[str]:
    kind, name = part.component.kind, part.name
    (names,) = (names for names, c in _groups(kind) if name in names)
    link = f"[{name}](../parts/{KINDS[kind][1]}.md#{names[0]})"
    yield f"## {kind.capitalize()}: `{part}`"
    doc = inspect.getdoc(part.component.function) or ""
    if kind == "granularity" or (kind, name) in PLAIN:
        yield f"{prose(doc.split(chr(10) * 2)[0])} More under {link}."
    else:
        yield prose(doc)
        yield from _picture(kind, name, "../")
        rows = [
            (f"`{option}`", _default(_plain(value)), _default(default))
            for (option, value), default in zip(
                part.settings.items(), catalogue.describe(part.component)["options"].values(), strict=True
            )
        ]
        if rows:
            yield table(("option", "here", "default"), rows)
        yield f"Also under {link}." + (
            f" Source: {prose(part.component.paper)}." if part.component.paper else ""
        )


PLAIN = {("passes", "single"), ("selector", "top")}
"""Parts that most strategies have and that pages other than their own need not explain at length."""


CAPTIONS = {
    "maps": "A slice of the phantom and one of a hippocampus (Medical Segmentation Decathlon, task 4, CC-BY-SA 4.0): "
    "with the true outlines, with the predicted ones, and what "
    "this scorer makes of it. Bright is wanted.",
    "numbers": "The least wanted of some slices, and the most wanted one, each with the true outlines and with the predicted "
    "ones: of the phantom, and of the hippocampus (Medical Segmentation Decathlon, task 4, CC-BY-SA 4.0). This scorer gives "
    "one number an image, so there is no map of pixels to show.",
    "parts": "A slice of the phantom and one of a hippocampus (Medical Segmentation Decathlon, task 4, CC-BY-SA 4.0), and the "
    "entropy of each of their pixels: the eight parts of highest score.",
    "planes": "Points of a plane, dark is wanted; crosses are labelled.",
    "picks": "Points of a plane, darker where entropy is higher. Crosses are labelled, circles are picked, in this order.",
}


def _picture(kind: str, name: str, up: str = "../") -> Iterator[str]:
    """The picture of a scorer's map, of parts of a slice or of a selector's picks, where there is one."""
    folder = {"scorer": "maps", "granularity": "parts", "selector": "picks"}.get(kind)
    if folder and (IMG / folder / f"{name}.png").is_file():
        yield f"![{name}]({up}img/{folder}/{name}.png)\n\n*{CAPTIONS[_shown(components(kind)[name]) or folder]}*"


def _shown(component: Component) -> str:
    """What the picture of a scorer shows if that is no map of pixels: ``planes`` or ``numbers``; '' otherwise."""
    if component.info.get("pool"):
        return "planes"
    return "numbers" if component.kind == "scorer" and _gives_numbers(Bound(component)) else ""


def _gives_numbers(scorer: Bound) -> bool:
    """Whether it gives one number an image, by asking it about a made-up one."""
    if any(option.default is option.empty for option in scorer.component.options.values()):
        return False
    strategy = parse_strategy(f"dropout(2) > {scorer} > top")
    prediction = made_up([Region("a", 2, 0)], _TASK, strategy, np.random.default_rng(0))
    return len(score_map(scorer, prediction).shape) == 1


def _mapless(facts: Facts) -> Iterator[str]:
    """Why the page of a strategy shows no map of an image, where it shows none."""
    strategy = facts.strategy
    if strategy.scorer.name != "none" and not strategy.scorer.component.info.get("pool"):
        return
    if facts.truth:
        why = (
            "it draws from the ground truth of a simulation; the picture of its selector has a made-up truth"
        )
    elif strategy.scorer.name != "none":
        why = "it judges whole images by comparing them with the others, so its picture is one of the pool"
    elif facts.networks:
        why = "it looks at whole images, by their features or class shares, so its picture is one of the pool"
    else:
        why = "it never looks at a prediction; the picture of its selector shows what it picks in a pool"
    yield f"**No map.** There is no map of pixels to show: {why}."


def _facts(component: Component) -> Iterator[str]:
    needs = sorted(Bound(component).needs)  # with its default options
    if needs:
        yield f"Needs {', '.join(f'`{n}`' for n in needs)}."
    if component.info.get("min_passes", 0) > 1:
        yield f"Needs at least {component.info['min_passes']} passes."
    if component.info.get("unit"):
        yield f"Only where the unit of annotation is the {component.info['unit']}."
    if examples := component.info.get("examples"):
        yield "For example " + ", ".join(f"`{e}`" for e in examples) + "."
    if component.paper:
        yield f"Source: {prose(component.paper)}."


def _groups(kind: str) -> list[tuple[list[str], Component]]:
    """The components of a kind; names of the same function together, the last registered first."""
    groups: dict[Any, list[Component]] = {}
    for component in components(kind).values():
        groups.setdefault(component.function, []).append(component)
    found = []
    for same in groups.values():
        own = next((c for c in same if c.name == c.function.__name__), same[0])
        found.append(([own.name, *(c.name for c in same if c is not own)], own))
    return found


def _names(kind: str) -> str:
    file = KINDS[kind][1]
    return ", ".join(
        ", ".join(f"[`{n}`](parts/{file}.md#{names[0]})" for n in names) for names, _ in _groups(kind)
    )


def _uses(facts: Facts, kind: str) -> set[str]:
    """Names of the parts of a kind in a strategy, nested ones too."""
    found: set[str] = set()

    def walk(bound: Bound) -> None:
        if bound.component.kind == kind:
            found.add(bound.name)
        for value in (*bound.args, *bound.options.values()):
            if isinstance(value, Bound):
                walk(value)

    for part in (*facts.strategy.parts, *facts.strategy.added):
        walk(part)
    return found


def _variations(facts: Facts) -> Iterator[tuple[str, str]]:
    """Texts near this strategy that work, and what they stand for."""
    strategy, seen = facts.strategy, {str(facts.strategy)}
    words = {part.component.kind: str(part) for part in strategy.parts} | {"name": facts.name}
    for pattern, meaning in VARIATIONS:
        text = pattern.format(**words)
        try:
            other = parse_strategy(text)
            check(other, _TASK, "slice", 2)
        except SettingError:
            continue
        if str(other) not in seen:
            seen.add(str(other))
            yield f"`{text}`", meaning


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Bound) else value


def _default(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, tuple):
        return f"`{list(map(_plain, value))}`" if value else "–"
    return f"`{value if isinstance(value, str) and not value else json.dumps(value, ensure_ascii=False)}`"


def slug(text: str) -> str:
    """A strategy text as a file name."""
    return re.sub(r"\W+", "-", text).strip("-")
