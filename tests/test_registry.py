from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette import registry
from curette.errors import SettingError
from curette.query.strategy import parse_strategy
from curette.registry import bind, components, get, register


@pytest.fixture(autouse=True, scope="module")
def _toys() -> Iterator[None]:
    """Components of a kind of their own, taken out again, so that no other test sees them."""
    known = dict(registry._components)

    @register("toy", "plain", needs=["votes"], paper="Nobody 1999", colour="red")
    def plain(x: Any, *, n: int = 3, share: float = 0.5, on: bool = False, word: str = "a") -> Any:
        """First sentence
        over two lines.

        More.
        """
        return x, n, share, on, word

    @register("toy", "needy", needs=["embedding"])
    def needy(x: Any, *, beta: float) -> Any:
        return x, beta

    @register("toy", "box")
    def box(x: Any, *edges: int) -> Any:
        return x, edges

    @register("toy", "around")
    def around(x: Any, *, inner: registry.Bound | None = None, sizes: tuple[int, ...] = (1, 2)) -> Any:
        return x, inner, sizes

    yield
    registry._components.clear()
    registry._components.update(known)


def test_card_of_a_component() -> None:
    card = get("toy", "plain")
    assert (card.needs, card.paper, card.info) == (frozenset({"votes"}), "Nobody 1999", {"colour": "red"})
    assert card.summary == "First sentence over two lines."
    assert list(card.options) == ["n", "share", "on", "word"]
    assert list(components("toy")) == ["around", "box", "needy", "plain"]


def test_decorating_gives_the_function_back_and_twice_is_harmless() -> None:
    function = get("toy", "plain").function
    assert register("toy", "plain")(function) is function
    register("toy", "plain", needs=["votes"], paper="Nobody 1999", colour="red")(function)


def test_a_taken_name_is_refused_and_its_owner_named() -> None:
    with pytest.raises(SettingError, match=r"already a toy named 'plain' \(.*test_registry\)"):
        register("toy", "plain")(lambda x: x)


def test_unknown_component_is_suggested() -> None:
    with pytest.raises(
        SettingError, match=r"Unknown toy 'plane'\. Did you mean 'plain'\? Known: around, box"
    ):
        get("toy", "plane")


def test_options_by_position_and_by_name_are_the_same() -> None:
    assert bind("toy", "plain", 8, 0.25) == bind("toy", "plain", share=0.25, n=8)
    assert bind("toy", "plain", 8)("x") == ("x", 8, 0.5, False, "a")
    assert bind("toy", "box", 1, 2, 3)("x") == ("x", (1, 2, 3))


@pytest.mark.parametrize(
    ("args", "options", "text"),
    [
        ((), {}, "plain"),
        ((3,), {}, "plain"),
        ((8,), {}, "plain(8)"),
        ((), {"word": "b", "on": True}, 'plain(on=true, word="b")'),
        ((4,), {"share": 0.25}, "plain(4, share=0.25)"),
    ],
)
def test_text_shows_what_differs_from_the_defaults(
    args: tuple[Any, ...], options: dict[str, Any], text: str
) -> None:
    assert str(bind("toy", "plain", *args, **options)) == text


def test_nested_components_show_and_pass_on_their_needs() -> None:
    bound = bind("toy", "around", bind("toy", "needy", 2))
    assert str(bound) == "around(needy(2))"
    assert bound.needs == {"embedding"}
    assert bind("toy", "around", sizes=[4, 5]) == bind("toy", "around", sizes=(4, 5))


@given(st.integers(-100, 100), st.floats(0, 1), st.booleans())
def test_equal_by_what_was_asked_not_how(n: int, share: float, on: bool) -> None:
    one, other = bind("toy", "plain", n, share=share, on=on), bind("toy", "plain", on=on, n=n, share=share)
    assert one == other
    assert hash(one) == hash(other)
    assert one != bind("toy", "plain", n + 1, share=share, on=on)
    assert one.settings == {"n": n, "share": share, "on": on, "word": "a"}


@pytest.mark.parametrize(
    ("name", "args", "options", "message"),
    [
        ("plain", (), {"m": 1}, "has no option 'm'.*It takes the options n, share, on, word"),
        ("plain", (), {"shar": 1.0}, "Did you mean 'share'"),
        ("plain", (1, 0.5, True, "a", 9), {}, "not 5 values"),
        ("plain", (1,), {"n": 2}, "given 'n' twice"),
        ("plain", (1.5,), {}, "'n' is 1.5"),
        ("plain", (True,), {}, "'n' is True"),
        ("plain", (), {"on": 1}, "'on' is 1"),
        ("plain", (), {"word": 3}, "'word' is 3"),
        ("plain", (), {"share": "half"}, "'share' is 'half'"),
        ("around", (), {"sizes": 3}, "'sizes' is 3"),
        ("needy", (), {}, "needs a value for 'beta'"),
        ("box", (1,), {"edge": 1}, "takes no options"),
    ],
)
def test_wrong_options_are_named(
    name: str, args: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        bind("toy", name, *args, **options)


class _Point:
    name, value = "mine", "my_package.scorers"

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem, self.loaded = problem, 0

    def load(self) -> None:
        self.loaded += 1
        if self.problem:
            raise self.problem


def test_plugins_are_imported_once_when_first_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    point = _Point()
    monkeypatch.setattr(registry, "_plugins_loaded", False)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point] if group == "curette.components" else []
    )
    components("toy")
    components("toy")
    assert point.loaded == 1


def test_a_broken_plugin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = _Point(ImportError("no module named numpyy"))
    monkeypatch.setattr(registry, "_plugins_loaded", False)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(SettingError, match=r"plug-in 'mine' \(my_package.scorers\).*numpyy"):
        components("toy")


def test_a_component_is_pickled_by_its_name(tmp_path: Path) -> None:
    """Strategies go to worker processes, where nothing is imported yet; what cards hold may be a function without a name."""
    place = tmp_path / "strategy"
    place.write_bytes(pickle.dumps(parse_strategy("pcdal")))
    assert pickle.loads(place.read_bytes()) == parse_strategy("pcdal")
    code = f"import pickle; print(pickle.loads(open({str(place)!r}, 'rb').read()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(parse_strategy("pcdal"))


def test_a_component_that_is_not_registered_is_pickled_as_it_is() -> None:
    one = registry.Component("toy", "nowhere", test_a_component_that_is_not_registered_is_pickled_as_it_is)
    assert pickle.loads(pickle.dumps(one)) == one
