"""The grammar of texts that name components: ``single > entropy > unit > top + learning_loss(margin=0)``.

    strategy = call { ">" call } { "+" call }
    sum      = call { "+" call }
    call     = word [ "(" [ argument { "," argument } ] ")" ]
    argument = [ word "=" ] value
    value    = number | "true" | "false" | "string" | "[" [ value { "," value } ] "]" | call

Values without a name come first, except calls, which may stand anywhere: ``cap(patient=2, per_class(top))``.
This file knows the form, and how a call of one kind becomes a bound component. What stands where in a strategy is in
`curette.query.strategy`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, Union

from curette.errors import SettingError
from curette.registry import Bound, Component, bind, get

Value: TypeAlias = Union[bool, int, float, str, tuple["Value", ...], "Call"]
Find: TypeAlias = Callable[[str, str], Component]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:inf\b|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![A-Za-z_]))
    | (?P<word>[A-Za-z_][A-Za-z_0-9]*)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<sign>[>+(),=\[\]])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_CONSTANTS = {"true": True, "false": False}


@dataclass(frozen=True)
class Call:
    """A name with arguments, as written. `at` is where it starts in the text; it does not count in comparisons."""

    name: str
    args: tuple[Value, ...] = ()
    options: tuple[tuple[str, Value], ...] = ()
    at: int = field(default=0, compare=False)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> tuple[Call, ...]:
    """Read the parts of a strategy text that has nothing added to it. Raises `SettingError` as `parse_added` does."""
    return _Reader(text).parts()


def parse_added(text: str) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
    """Read a strategy text into its parts and what is added to it.

    Raises `SettingError` with the position and what was expected there.
    """
    return _Reader(text).added()


def parse_sum(text: str) -> tuple[Call, ...]:
    """Read a sum of calls. Raises `SettingError` with the position and what was expected there."""
    return _Reader(text).sum()


def read(kind: str, text: str) -> Bound:
    """The component of a kind that a text such as ``sgd(momentum=0.9)`` names.

    Raises `SettingError` for a grammatical error, an unknown name and what `bind` refuses.
    """
    calls = _Reader(text).sum()
    if len(calls) > 1:
        raise SettingError(f"'{text}' names {len(calls)} components where one {kind} belongs.")
    return bound(kind, calls[0])


def bound(kind: str, call: Call, find: Find = get) -> Bound:
    """Bind a call to its component of that kind, nested components and bare words included.

    `find` looks components up, for callers who know better what to say of one that is not there.
    """
    component = find(kind, call.name)

    def setting(option: str, value: Value) -> Any:
        if isinstance(value, tuple):
            return tuple(setting("", item) for item in value)
        if not isinstance(value, Call):
            return value
        default = component.options[option].default if option in component.options else None
        nested = component.info.get("nested", {})
        if isinstance(default, (str, int, float)) and value == Call(value.name) and option not in nested:
            return value.name  # a bare word is a string where the default is one
        return bound(nested.get(option, component.kind), value, find)

    keywords = [n for n, p in component.options.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    variadic = len(keywords) < len(component.options)
    names = [""] * len(call.args) if variadic else [*keywords, *[""] * len(call.args)]
    args = [setting(name, value) for name, value in zip(names, call.args, strict=False)]
    options = {name: setting(name, value) for name, value in call.options}
    return bind(kind, call.name, *args, **options)


def render(parts: tuple[Call, ...]) -> str:
    """Write parts as text; ``parse(render(parts)) == parts``."""
    return " > ".join(_render(part) for part in parts)


def _render(value: Value) -> str:
    if isinstance(value, Call):
        shown = [_render(v) for v in value.args] + [f"{key}={_render(v)}" for key, v in value.options]
        return f"{value.name}({', '.join(shown)})" if shown else value.name
    if isinstance(value, tuple):
        return f"[{', '.join(_render(v) for v in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


class _Reader:
    """One token of look-ahead over a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.token = self._read(0)

    def _read(self, start: int) -> _Token:
        found = _TOKEN.match(self.text, start)
        if found is None or found.lastgroup is None:
            at = start + len(self.text[start:]) - len(self.text[start:].lstrip())
            raise self._error(
                at, 'a name, a number, a closed "string" or one of > + ( ) , = [ ]', self.text[at]
            )
        return _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))

    def _error(self, at: int, expected: str, instead: str) -> SettingError:
        what = f"'{instead}'" if instead else "the end"
        return SettingError(
            f"Strategy text '{self.text}', character {at + 1}: expected {expected}, found {what}. "
            "Write for example 'bald' or 'single > entropy > unit > top'."
        )

    def take(self, kind: str, sign: str, expected: str) -> _Token:
        """Step over a token of `kind` (and text `sign`, unless that is empty) or fail with what was expected."""
        token = self.token
        if token.kind != kind or (sign and token.text != sign):
            raise self._error(token.at, expected, token.text)
        if kind != "end":
            self.token = self._read(token.at + len(token.text))
        return token

    def sees(self, sign: str) -> bool:
        return self.token.kind == "sign" and self.token.text == sign

    def parts(self) -> tuple[Call, ...]:
        parts = self.row(">")
        self.take("end", "", "'>', '(' or the end")
        return parts

    def added(self) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
        parts = self.row(">")
        more: tuple[Call, ...] = ()
        if self.sees("+"):
            self.take("sign", "+", "'+'")
            more = self.row("+")
        self.take("end", "", "'+', '(' or the end" if more else "'>', '+', '(' or the end")
        return parts, more

    def sum(self) -> tuple[Call, ...]:
        parts = self.row("+")
        self.take("end", "", "'+', '(' or the end")
        return parts

    def row(self, sign: str) -> tuple[Call, ...]:
        found = [self.call()]
        while self.sees(sign):
            self.take("sign", sign, f"'{sign}'")
            found.append(self.call())
        return tuple(found)

    def call(self) -> Call:
        word = self.take("word", "", "a name")
        if word.text in _CONSTANTS:
            raise self._error(word.at, "a name", word.text)
        if not self.sees("("):
            return Call(word.text, at=word.at)
        self.take("sign", "(", "'('")
        args: list[Value] = []
        options: dict[str, Value] = {}
        while not self.sees(")"):
            if args or options:
                self.take("sign", ",", "',' or ')'")
            self.argument(args, options)
        self.take("sign", ")", "')'")
        return Call(word.text, tuple(args), tuple(options.items()), word.at)

    def argument(self, args: list[Value], options: dict[str, Value]) -> None:
        start = self.token
        value = self.value()
        if self.sees("=") and isinstance(value, Call) and value == Call(value.name):
            self.take("sign", "=", "'='")
            if start.text in options:
                raise self._error(start.at, f"'{start.text}' only once", start.text)
            options[start.text] = self.value()
        elif options and not isinstance(
            value, Call
        ):  # a component can be told from an option's value anywhere
            raise self._error(start.at, "'name=value', as values without a name come first", start.text)
        else:
            args.append(value)

    def value(self) -> Value:
        kind, text, _ = self.token
        if kind == "number":
            self.take("number", "", "a number")
            return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
        if kind == "string":
            return self.string()
        if kind == "word" and text in _CONSTANTS:
            self.take("word", "", "a value")
            return _CONSTANTS[text]
        if self.sees("["):
            return self.items()
        if kind == "word":
            return self.call()
        raise self._error(self.token.at, "a value", text)

    def string(self) -> str:
        token = self.token
        try:
            read = json.loads(token.text)
        except ValueError as problem:
            raise self._error(token.at, f"a string with JSON escapes ({problem})", token.text) from None
        self.take("string", "", "a string")
        return str(read)

    def items(self) -> tuple[Value, ...]:
        self.take("sign", "[", "'['")
        items: list[Value] = []
        while not self.sees("]"):
            if items:
                self.take("sign", ",", "',' or ']'")
            items.append(self.value())
        self.take("sign", "]", "']'")
        return tuple(items)
