import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.errors import SettingError
from curette.text import Call, parse, render

words = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda w: w not in ("true", "false", "inf")
)
leaves = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    words.map(Call),
)


def _calls(values: st.SearchStrategy) -> st.SearchStrategy[Call]:
    options = st.dictionaries(words, values, max_size=2).map(lambda d: tuple(d.items()))
    return st.builds(Call, words, st.lists(values, max_size=2).map(tuple), options)


values = st.recursive(
    leaves, lambda v: st.one_of(st.lists(v, max_size=3).map(tuple), _calls(v)), max_leaves=8
)


@given(st.lists(_calls(values), min_size=1, max_size=4).map(tuple))
def test_what_is_printed_reads_back_equal(parts: tuple[Call, ...]) -> None:
    again = parse(render(parts))
    assert again == parts
    assert render(again) == render(parts)  # equality takes 1 for true; the text does not


def test_a_full_text() -> None:
    text = (
        ' flips>variance > unit(reduce="topq", q=.05)> cap(per_class(top, [1, -2.5]), patient=2, soft=true) '
    )
    assert parse(text) == (
        Call("flips"),
        Call("variance"),
        Call("unit", (), (("reduce", "topq"), ("q", 0.05))),
        Call("cap", (Call("per_class", (Call("top"), (1, -2.5))),), (("patient", 2), ("soft", True))),
    )


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("", 1, "expected a name, found the end"),
        ("bald >", 7, "expected a name, found the end"),
        ("dropout(8", 10, "expected ',' or ')', found the end"),
        ("dropout(8 9)", 11, "expected ',' or ')', found '9'"),
        ("dropout(n=)", 11, "expected a value, found ')'"),
        ("dropout(n=1, n=2)", 14, "expected 'n' only once"),
        ("dropout(n=1, 2)", 14, "expected 'name=value'"),
        ("single > > top", 10, "expected a name, found '>'"),
        ("single entropy", 8, "expected '>', '(' or the end, found 'entropy'"),
        ("single > entropy & top", 18, "found '&'"),
        ('top("open)', 5, 'closed "string"'),
        ("true > top", 1, "expected a name, found 'true'"),
        ("unit(f(1)=2)", 10, "expected ',' or ')', found '='"),
        ("8 > top", 1, "expected a name, found '8'"),
    ],
)
def test_errors_say_where_and_what_was_expected(text: str, position: int, expected: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(text)
    assert f"character {position}:" in str(caught.value)
    assert expected in str(caught.value)


@given(st.text(alphabet='ab1.>(),=[]" \\', max_size=20))
def test_any_text_is_read_or_refused_with_a_setting_error(text: str) -> None:
    try:
        parts = parse(text)
    except SettingError:
        return
    assert parse(render(parts)) == parts
