"""Strategies: four components, what training carries along for them, and a text.

Reading them, and refusing what cannot work before anything is trained.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from curette.errors import CuretteWarning, SettingError
from curette.learn import companions as along
from curette.learn.encoders import check_options, encodes
from curette.learn.passes import count, members, mirrored
from curette.learn.prediction import NEEDS
from curette.query import (  # noqa: F401  (importing registers them)
    by_class,
    foreground,
    granularity,
    patches,
    predicted_patches,
    scorers,
    selectors,
    superpixels,
    teachers,
    trigger,
)
from curette.query.presets import PRESETS, Preset
from curette.query.rehearsal import rehearse
from curette.query.short import ADDED, PARTS, find, four_parts, no_addition
from curette.registry import Bound, bind, components
from curette.task import Task
from curette.text import Call, bound, parse_added, read

__all__ = ["ADDED", "PARTS", "PRESETS", "Preset", "Strategy", "check", "parse_strategy"]


@dataclass(frozen=True)
class Strategy:
    """How the model is asked, what is measured, what can be picked, and how a batch is chosen.

    `name` is the text as the user gave it; ``str(strategy)`` is the canonical text of all four parts and of what is added
    to them, without options that have their default, and parses back to the same components.

    added  companions that the network is trained with, by name; then its own trigger and its teacher, where it has them
    """

    name: str
    passes: Bound
    scorer: Bound
    granularity: Bound
    selector: Bound
    added: tuple[Bound, ...] = ()

    def __str__(self) -> str:
        return " + ".join([" > ".join(str(part) for part in self.parts), *map(str, self.added)])

    @property
    def spelt_out(self) -> str:
        """The canonical text with every option, those that have their default too."""
        parts = " > ".join(part.spelt_out for part in self.parts)
        return " + ".join([parts, *(part.spelt_out for part in self.added)])

    @property
    def companions(self) -> tuple[Bound, ...]:
        """What training carries along for it."""
        return tuple(part for part in self.added if part.component.kind == "companion")

    @property
    def trigger(self) -> Bound | None:
        """When its next query is due; None: when the study's is."""
        return next((part for part in self.added if part.component.kind == "trigger"), None)

    @property
    def teacher(self) -> Bound | None:
        """What the model of one cycle may teach that of the next, besides labels."""
        return next((part for part in self.added if part.component.kind == "teacher"), None)

    @property
    def parts(self) -> tuple[Bound, Bound, Bound, Bound]:
        return self.passes, self.scorer, self.granularity, self.selector

    @property
    def needs(self) -> frozenset[str]:
        """Fields of `Prediction`, besides `mean`, that a sweep must fill for this strategy."""
        wanted = self.scorer.needs | self.granularity.needs | self.selector.needs
        more = self.granularity.component.info.get("needs_for", {})
        if callable(more):
            more = more(**self.granularity.settings)
        return (wanted | {more[name] for name in wanted & more.keys()}) - self.makes

    @property
    def makes(self) -> frozenset[str]:
        """Columns that its granularity adds to the candidates, and that no learner has to give."""
        return frozenset(self.granularity.component.info.get("makes", ()))

    @property
    def cuts(self) -> bool:
        """Whether it picks parts of the study's units."""
        return bool(self.part)

    @property
    def part(self) -> str:
        """What it calls the parts of units that it picks; '' if it picks whole units."""
        return str(self.granularity.component.info.get("part", ""))

    @property
    def members(self) -> int:
        """How many independently trained networks it asks; 0 if it never looks at a model."""
        return members(self.passes)

    @property
    def truth(self) -> bool:
        """Whether a part of it looks at ground truth, which only a simulation has. Reports must say so."""
        return any(part.says("truth") for part in self.parts)

    @property
    def grouped(self) -> bool:
        """Whether a part of it goes by the groups of cases, such as hospitals, that a data set tells."""
        return any(part.says("grouped") for part in self.parts)


def parse_strategy(text: str, unit: str | None = None, companions: Sequence[str] = ()) -> Strategy:
    """Read a strategy text.

    Four parts ``passes > scorer > granularity > selector``; three parts leave the granularity out and pick whole
    units; ``preset`` or ``preset > selector`` start from a line of `PRESETS`. With the study's `unit` given, the
    granularity of that name is written ``unit``, so that equal strategies have equal canonical texts.

    Behind the parts, each after a ``+``, stand companions, a trigger and a teacher. Companions that a part looks at are
    added where the text does not name them, and so are those of the study, texts like ``structure_boundary(coarse=0.5)``;
    a companion that the text names without options is the study's, if that has one of this name.

    Raises `SettingError` with the position of a grammatical error, or the known names and the nearest one.
    """
    calls, more = four_parts(text, *parse_added(text))
    try:
        bounds = [bound(part, call, find) for part, call in zip(PARTS, calls, strict=True)]
        if unit is not None and bounds[2].name == unit:
            bounds[2] = bind("granularity", "unit", **bounds[2].options)
        passes, scorer, part, selector = bounds
        strategy = Strategy(text.strip(), passes, scorer, part, selector)
        added = _added(more, strategy, [read("companion", companion) for companion in companions])
    except SettingError as problem:
        raise SettingError(f"Strategy '{text.strip()}': {problem}") from None
    return replace(strategy, added=added)


def _added(more: Sequence[Call], strategy: Strategy, given: Sequence[Bound]) -> tuple[Bound, ...]:
    """What is added to the parts, in canonical order: written with the strategy, given by the study, or looked at."""
    found: dict[tuple[str, str], Bound] = {}
    of_study = {companion.name: companion for companion in given}
    for call in more:
        kind = next((kind for kind in ADDED if call.name in components(kind)), None)
        if kind is None:
            raise no_addition(call.name)
        key = (kind, call.name if kind == "companion" else "")
        if key in found:
            raise SettingError(f"'{found[key]}' and '{call.name}' cannot both be added.")
        bare = kind == "companion" and not (call.args or call.options)
        found[key] = of_study[call.name] if bare and call.name in of_study else bound(kind, call)
    for companion in (*given, *along.companions_for(strategy.needs)):
        found.setdefault(("companion", companion.name), companion)
    return tuple(found[key] for key in sorted(found, key=lambda key: (ADDED.index(key[0]), key[1])))


def check(strategy: Strategy, task: Task, unit: str, budget: int = 0) -> None:
    """Refuse, before any training, a strategy that cannot work in a study with this task, unit and budget.

    Also runs it once on a made-up pool, so that an impossible option of any part shows now. Raises `SettingError` that
    says why and what to write instead. Warns of mirrored views where classes are named left and right.
    """
    if budget < 0:
        raise SettingError(f"The budget is {budget}, but must be 0 or more.")
    _warn_of_sides(strategy, task)
    try:
        _check_unit(strategy, unit)
        if strategy.cuts and task.kind == "classification":
            raise SettingError(
                f"'{strategy.granularity}' picks parts of images, and in classification an image has one label. "
                "Write 'unit' in its place."
            )
        _check_draws(strategy)
        _check_columns(strategy)
        _check_passes(strategy)
        along.check(strategy.companions, task)
        rehearse(strategy, task, unit)
    except SettingError as problem:
        raise SettingError(f"Strategy '{strategy.name}' cannot work: {problem}") from None


def _warn_of_sides(strategy: Strategy, task: Task) -> None:
    """A mirrored left kidney is a right one: a network that knows this only seems to contradict itself."""
    sided = [name for name in task.classes if re.search(r"(?<![a-z])(left|right)(?![a-z])", name.lower())]
    if sided and mirrored(strategy.passes):
        warnings.warn(
            f"Strategy '{strategy.name}' compares mirrored views, in which left and right trade places, and {sided[0]!r} is "
            "a class of its own: they disagree where nothing is wrong. Use 'augment', 'rotations' or 'dropout' instead.",
            CuretteWarning,
            stacklevel=3,
        )


def _check_draws(strategy: Strategy) -> None:
    """A granularity that can only draw stands with parts that measure and compare nothing."""
    facts, selector = strategy.granularity.component.info, strategy.selector
    only = "draw" in facts and not facts.get("occasion")
    looks = strategy.passes.name != "none" or strategy.scorer.name != "none"
    if only and (looks or selector.says("scores") or selector.needs):
        raise SettingError(
            f"{strategy.granularity.name} draws without looking at a model, so that nothing is there to be measured or "
            f"compared. Write 'none > none > {strategy.granularity} > random'."
        )


def _check_passes(strategy: Strategy) -> None:
    passes, scorer, selector = strategy.passes, strategy.scorer, strategy.selector
    members(passes)  # raises for ensemble(0)
    made = count(passes)
    wanted = _fewest_passes(scorer)
    if encodes(passes):
        _check_encoder(strategy)
    elif passes.name == "none":
        if scorer.name != "none":
            raise SettingError(
                f"the scorer '{scorer}' needs predictions, and the passes 'none' make none. "
                f"Write '{_asking(strategy)}'."
            )
        if strategy.makes:
            raise SettingError(
                f"the granularity '{strategy.granularity}' looks at predictions, and the passes 'none' make none. "
                f"Write '{_asking(strategy)}'."
            )
        draws = "draw" in strategy.granularity.component.info  # and then asks for no prediction
        if more := strategy.needs - (strategy.granularity.needs if draws else frozenset()):
            raise SettingError(
                f"the selector '{selector}' needs {' and '.join(sorted(more))} of a model, and the passes "
                f"'none' never ask one. Write '{_asking(strategy)}'."
            )
    elif made is not None and made < wanted:
        raise SettingError(
            f"the scorer '{scorer}' compares passes and needs at least {wanted}, but '{passes}' makes {made}. "
            f"Write '{_asking(strategy)}', or use the passes 'flips' or 'ensemble'."
        )
    elif made is not None and made < _fewest_passes(selector):
        raise SettingError(
            f"the selector '{selector}' compares passes and needs at least {_fewest_passes(selector)}, but '{passes}' "
            f"makes {made}. Write '{_asking(strategy)}', or use the passes 'ensemble'."
        )
    if scorer.name == "none" and selector.says("scores") and not strategy.granularity.says("scores"):
        raise SettingError(
            f"the selector '{selector}' chooses by score, and the scorer 'none' gives none. "
            f"Write for example '{_asking(strategy)}', or use the selector 'random'."
        )


def _asking(strategy: Strategy) -> str:
    """The strategy's text with passes enough for all its parts, and a scorer where its selector wants scores."""
    passes, scorer, part, selector = strategy.parts
    wanted, made = max(map(_fewest_passes, strategy.parts)), count(passes)
    asked = str(passes)
    if encodes(passes) or passes.name == "none" or (made is not None and made < wanted):
        several = "consistent_dropout(20)" if _fewest_passes(selector) > 1 else "dropout(10)"
        asked = several if wanted > 1 else "single"
    unscored = scorer.name == "none" and selector.says("scores") and not part.says("scores")
    words = [asked, "entropy" if unscored else str(scorer), str(part), str(selector)]
    return " > ".join(word for word in words if word != "unit")


def _fewest_passes(part: Bound) -> int:
    """How many passes a part and the components among its options compare."""
    inner = (v for v in (*part.args, *part.options.values()) if isinstance(v, Bound))
    return max(int(part.component.info.get("min_passes", 1)), *map(_fewest_passes, inner), 1)


def _check_encoder(strategy: Strategy) -> None:
    """Passes that see images only give one row of features a unit, and nothing else."""
    passes, scorer, selector = strategy.passes, strategy.scorer, strategy.selector
    check_options(passes)
    if scorer.name != "none" and not scorer.component.info.get("pool"):
        raise SettingError(
            f"the scorer '{scorer}' needs predictions, and the passes '{passes.name}' only give features of the images. "
            f"Write '{_asking(strategy)}', or use a selector that needs features alone: '{passes} > none > k_center'."
        )
    if strategy.granularity.component.function is not granularity.unit:
        raise SettingError(
            f"the passes '{passes.name}' give one row of features a unit, which '{strategy.granularity}' cannot take apart. "
            "Write 'unit' in its place."
        )
    if more := strategy.needs - {"embedding"}:
        raise SettingError(
            f"'{scorer} > {selector}' needs {' and '.join(sorted(more))} of a model, and the passes '{passes.name}' only "
            f"give features of the images. Write '{_asking(strategy)}'."
        )


def _check_columns(strategy: Strategy) -> None:
    """Columns that only a granularity can make are made by this one."""
    for name in sorted(strategy.needs - NEEDS - components("column").keys()):
        able = [
            n
            for n, c in components("granularity").items()
            if name in c.info.get("makes", ()) and bool(c.info.get("part")) == strategy.cuts
        ]
        if able:
            raise SettingError(
                f"'{strategy.scorer} > {strategy.selector}' needs the column '{name}', which the granularity "
                f"'{strategy.granularity}' does not make. Use {' or '.join(repr(n) for n in able)} in its place."
            )


def _check_unit(strategy: Strategy, unit: str) -> None:
    only = strategy.granularity.component.info.get("unit", unit)
    if only != unit:
        raise SettingError(
            f"the granularity '{strategy.granularity}' picks {only}s, but the study's unit of annotation is the {unit}. "
            f"Write 'unit' in its place, or set data.unit = \"{only}\"."
        )
