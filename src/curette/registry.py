"""One registry of named components, and the binding of options to them.

A component is a plain function plus what the rest must know about it: its kind (passes, scorer, granularity, selector,
dataset, reader, model, oracle …), what it needs, and where it was published. Options are the function's keyword-only
parameters (or its ``*args``), so the text form ``dropout(8)`` needs no second declaration. Packages add their own by
calling a decorator, or by an entry point in the group ``curette.components`` whose import does so.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from curette.errors import SettingError, nearest, unknown

ENTRY_POINTS = "curette.components"


@dataclass(frozen=True)
class Component:
    """A registered function and its card.

    `needs` names what it must be given (for scorers and selectors: fields of `Prediction` such as ``embedding``).
    `info` holds further facts of its kind, e.g. ``truth=True`` for a strategy part that looks at ground truth.
    """

    kind: str
    name: str
    function: Callable[..., Any]
    needs: frozenset[str] = frozenset()
    paper: str = ""
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """First sentence of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ")

    @functools.cached_property
    def options(self) -> dict[str, inspect.Parameter]:
        """The options a text form or settings may give: keyword-only and ``*args`` parameters, in order."""
        parameters = inspect.signature(self.function, eval_str=False).parameters.values()
        wanted = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL)
        return {p.name: p for p in parameters if p.kind in wanted}

    def __reduce__(self) -> tuple[Any, ...]:
        """A registered component is pickled by its name: what its card holds need not be picklable."""
        if _components.get((self.kind, self.name)) is self:
            return _registered, (self.function.__module__, self.kind, self.name)
        return Component, (self.kind, self.name, self.function, self.needs, self.paper, self.info)


def _registered(module: str, kind: str, name: str) -> Component:
    importlib.import_module(module)
    return get(kind, name)


_components: dict[tuple[str, str], Component] = {}
_plugins_loaded = False


def register(
    kind: str, name: str, *, needs: Iterable[str] = (), paper: str = "", **info: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that registers a function as component `name` of `kind` and gives it back unchanged.

    Raises `SettingError` if another function already has that name; registering the same function again is harmless.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        known = _components.get((kind, name))
        if known is not None and known.function.__qualname__ != function.__qualname__:
            raise SettingError(f"There is already a {kind} named '{name}' ({known.function.__module__}).")
        _components[kind, name] = Component(kind, name, function, frozenset(needs), paper, info)
        return function

    return decorate


def load_plugins() -> None:
    """Import every installed entry point of the group ``curette.components``, once."""
    global _plugins_loaded
    if not _plugins_loaded:
        _plugins_loaded = True
        for point in entry_points(group=ENTRY_POINTS):
            try:
                point.load()
            except Exception as problem:
                raise SettingError(
                    f"The plug-in '{point.name}' ({point.value}) cannot be imported: {problem}. "
                    "Repair or uninstall the package that declares it."
                ) from problem


def components(kind: str) -> dict[str, Component]:
    """All components of a kind by name, built-in and plugged-in."""
    load_plugins()
    return {name: c for (k, name), c in sorted(_components.items()) if k == kind}


def get(kind: str, name: str) -> Component:
    """Look a component up. Raises `SettingError` that lists the known names and suggests the nearest."""
    found = _components.get((kind, name)) or components(kind).get(name)
    if found is None:
        raise unknown(kind, name, components(kind))
    return found


@dataclass(frozen=True)
class Bound:
    """A component with its options: callable, printable, comparable by text. ``str(bound)`` parses back to it."""

    component: Component
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.component.name

    @functools.cached_property
    def needs(self) -> frozenset[str]:
        """What the component, with these options, and the components among its options need.

        A component whose options decide says so by ``info["also"]``, a function of its settings.
        """
        also = self.component.info.get("also")
        more = frozenset(also(**self.settings)) if also else frozenset[str]()
        inner = [v.needs for v in (*self.args, *self.options.values()) if isinstance(v, Bound)]
        return self.component.needs.union(more, *inner)

    def says(self, fact: str) -> bool:
        """Whether the component, or one among its options, has this fact in its `info`."""
        inner = (v for v in (*self.args, *self.options.values()) if isinstance(v, Bound))
        return bool(self.component.info.get(fact)) or any(v.says(fact) for v in inner)

    @property
    def settings(self) -> dict[str, Any]:
        """All options with their values, defaults filled in; ``*args`` stand under their own name."""
        filled: dict[str, Any] = {}
        for name, p in self.component.options.items():
            if p.kind is inspect.Parameter.VAR_POSITIONAL:
                filled[name] = self.args
            else:
                filled[name] = self.options.get(name, p.default)
        return filled

    def __call__(self, *inputs: Any) -> Any:
        return self.component.function(*inputs, *self.args, **self.options)

    def __str__(self) -> str:
        shown = [_print(a) for a in self.args]
        keywords = [n for n, p in self.component.options.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
        plain = 0
        for position, name in enumerate(keywords):
            if name in self.options and self.options[name] != self.component.options[name].default:
                value = _print(self.options[name])
                inner = isinstance(
                    self.options[name], Bound
                )  # components in a row read best without their names
                leading = not self.args and position == plain and (position == 0 or inner)
                plain += leading
                shown.append(value if leading else f"{name}={value}")
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    @property
    def spelt_out(self) -> str:
        """Like ``str(bound)``, with the options that have their default too: what a record must hold to mean the same
        under a later version. An option that is None is left out."""
        shown = [v.spelt_out if isinstance(v, Bound) else _print(v) for v in self.args]
        for name, value in self.settings.items():
            inner = value.spelt_out if isinstance(value, Bound) else _print(value)
            if value is not None and self.component.options[name].kind is inspect.Parameter.KEYWORD_ONLY:
                shown.append(f"{name}={inner}")
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    def __hash__(self) -> int:
        return hash((self.component.kind, str(self)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Bound)
            and self.component.kind == other.component.kind
            and str(self) == str(other)
        )


def _print(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_print(v) for v in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def bind(kind: str, name: str, /, *args: Any, **options: Any) -> Bound:
    """Bind options to a component, positional ones in the order of its keyword-only parameters.

    Raises `SettingError` for an unknown component or option, a missing one, too many positional values, and a value
    whose type differs from the default's.
    """
    component = get(kind, name)
    keywords = [n for n, p in component.options.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    variadic = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in component.options.values())
    if args and not variadic:
        if len(args) > len(keywords):
            raise SettingError(f"{kind} '{name}' takes {_count(keywords)}, not {len(args)} values.")
        for key, value in zip(keywords, args, strict=False):
            if key in options:
                raise SettingError(f"{kind} '{name}' is given '{key}' twice.")
            options[key] = value
        args = ()
    for key, value in options.items():
        if key not in keywords:
            raise SettingError(
                f"{kind} '{name}' has no option '{key}'.{nearest(key, keywords)} It takes {_count(keywords)}."
            )
        if not (isinstance(value, Bound) and key in component.info.get("nested", {})):
            options[key] = _fit(kind, name, key, value, component.options[key])
    missing = [
        k for k in keywords if k not in options and component.options[k].default is inspect.Parameter.empty
    ]
    if missing:
        example = "".join(f" Write for example '{e}'." for e in component.info.get("examples", ())[:1])
        raise SettingError(f"{kind} '{name}' needs a value for '{missing[0]}'.{example}")
    ordered = {key: options[key] for key in keywords if key in options}
    return Bound(component, tuple(args), ordered)


def _count(keywords: list[str]) -> str:
    return f"the options {', '.join(keywords)}" if keywords else "no options"


def _fit(kind: str, name: str, key: str, value: Any, option: inspect.Parameter) -> Any:
    default = option.default
    if default is inspect.Parameter.empty or default is None or value is None:
        return value
    if isinstance(default, bool) or isinstance(value, bool):
        fits = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        fits, value = isinstance(value, (int, float)), float(value) if isinstance(value, int) else value
    elif isinstance(default, (tuple, list)):
        fits, value = isinstance(value, (tuple, list)), tuple(value) if isinstance(value, list) else value
    elif isinstance(default, (int, str)):
        # Where a number stands for every axis, there may be one an axis instead.
        axes = "tuple[int, ...]" in str(option.annotation) and isinstance(value, (tuple, list))
        fits, value = axes or isinstance(value, type(default)), tuple(value) if axes else value
    else:
        fits = True
    if not fits:
        raise SettingError(
            f"{kind} '{name}': option '{key}' is {value!r}, but must be like its default {default!r}."
        )
    return value
