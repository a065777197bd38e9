from __future__ import annotations

import pytest

from curette import errors


@pytest.mark.parametrize(
    "kind", [errors.DataError, errors.SettingError, errors.ContractError, errors.MissingExtraError]
)
def test_all_errors_are_the_users_to_put_right(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.CuretteError)


def test_warnings_are_no_errors() -> None:
    assert issubclass(errors.CuretteWarning, UserWarning)
    assert not issubclass(errors.CuretteWarning, errors.CuretteError)


def test_unknown_names_list_what_is_known_and_suggest_the_nearest() -> None:
    problem = errors.unknown("scorer", "entrpy", ["margin", "entropy"])
    assert isinstance(problem, errors.SettingError)
    assert str(problem) == "Unknown scorer 'entrpy'. Did you mean 'entropy'? Known: entropy, margin."


def test_nothing_is_suggested_for_a_word_like_none() -> None:
    assert errors.nearest("xyzzy", ["margin", "entropy"]) == ""
    assert "mean" not in str(errors.unknown("scorer", "xyzzy", ["margin"]))
