from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.errors import SettingError
from curette.recipe import Study, dump_study, load_study, parse_study

SMALL: dict[str, Any] = {"strategies": ["random"], "data": {"dataset": "phantom"}}

shares = st.floats(0.1, 0.45)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
studies = st.fixed_dictionaries(
    {
        "strategies": st.lists(texts, min_size=1, max_size=4, unique=True),
        "data": st.fixed_dictionaries(
            {"dataset": texts},
            optional={
                "root": texts.filter(lambda t: not t.startswith("~")),
                "unit": st.sampled_from(["image", "slice"]),
                "options": st.dictionaries(
                    st.sampled_from("abc"), st.one_of(st.integers(0, 9), texts, st.booleans())
                ),
            },
        ),
    },
    optional={
        "name": texts,
        "seeds": st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
        "split": st.fixed_dictionaries(
            {"train": shares, "test": shares}, optional={"seed": st.integers(0, 9)}
        ),
        "prepare": st.fixed_dictionaries(
            {}, optional={"size": st.lists(st.integers(16, 64), min_size=2, max_size=2)}
        ),
        "train": st.fixed_dictionaries(
            {}, optional={"lr": st.floats(1e-6, 1), "augment": st.just({"flip": ["x"]})}
        ),
        "query": st.fixed_dictionaries({}, optional={"budget": st.integers(0, 50)}),
    },
)


@given(studies)
def test_written_study_reads_back_equal(raw: dict[str, Any]) -> None:
    import tomlkit

    study = parse_study(raw)
    again = parse_study(tomlkit.parse(dump_study(study)).unwrap())
    assert again == study
    assert again.digest() == study.digest()


def test_file_round_trip_and_paths_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "studies" / "a.toml"
    file.parent.mkdir()
    file.write_text(
        'strategies = ["random"]\n[data]\ndataset = "msd"\nroot = "../images"\n[prepare]\ncache = "c"\n'
    )
    study = load_study(file, seeds=[7])
    assert study.data.root == tmp_path / "images"
    assert study.prepare.cache == tmp_path / "studies" / "c"
    assert study.seeds == (7,)
    file.write_text(dump_study(study))
    assert load_study(file) == study


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stategies": ["x"]}, "no setting 'stategies'. Did you mean 'strategies'"),
        ({"train": {"step": 5}}, "no setting 'train.step'. Did you mean 'steps'"),
        (
            {"train": {"augment": {"rotation": 5}}},
            "no setting 'train.augment.rotation'. Did you mean 'rotate'",
        ),
        ({"train": {"steps": 0}}, "'train.steps'"),
        ({"train": {"steps": "many"}}, "'train.steps'"),
        ({"data": {"dataset": "phantom", "unit": "voxel"}}, "'data.unit'"),
        ({"data": {}}, "'data.dataset'"),
        ({"strategies": []}, "'strategies'"),
        ({"seeds": [1, 1]}, "'seeds'.*twice"),
        ({"split": {"train": 200, "test": 0.3}}, "counts of patients or shares"),
        ({"split": {"train": 0.8, "test": 0.3}}, r"sum to 1\.1"),
        ({"query": {"cycles": 0}}, "'query.cycles'"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parse_study(SMALL | changes, "mine.toml")


def test_all_wrong_settings_are_in_one_message_with_the_file() -> None:
    with pytest.raises(SettingError, match=r"^mine\.toml: .*'train\.steps'.*; .*'query\.initial'"):
        parse_study(SMALL | {"train": {"steps": 0}, "query": {"initial": 0}}, "mine.toml")


def test_counts_may_use_the_whole_set_and_shares_may_sum_to_one() -> None:
    assert parse_study(SMALL | {"split": {"train": 200, "val": 10, "test": 50}}).split.train == 200
    assert parse_study(SMALL | {"split": {"train": 0.7, "val": 0.1, "test": 0.2}}).split.val == 0.1


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no study file"), (b"a = [", "not valid TOML"), (b"\xff\xfe", "cannot be read")],
)
def test_unreadable_files_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "broken.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError, match=message) as caught:
        load_study(file)
    assert str(file) in str(caught.value)


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        load_study(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"steps": 801}},
        {"train": {"augment": {"noise": 0.5}}},
        {"query": {"budget": 11}},
        {"query": {"start": "strided_random"}},
        {"split": {"seed": 1}},
        {"data": {"dataset": "phantom", "options": {"patients": 12}}},
        {"prepare": {"percentiles": [0.5, 99.5]}},
        {"prepare": {"window": [0, 255]}},
        {"prepare": {"crop_nonzero": True}},
        {"measure_val": True},
    ],
)
def test_digest_follows_what_decides_results(changes: dict[str, Any]) -> None:
    assert parse_study(SMALL | changes).digest() != parse_study(SMALL).digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"seeds": [5]},
        {"strategies": ["bald", "random"]},
        {"gallery": False},
        {"prepare": {"cache": "/elsewhere"}},
        {"data": {"dataset": "phantom", "root": "/elsewhere"}},
    ],
)
def test_digest_ignores_what_does_not(changes: dict[str, Any]) -> None:
    assert parse_study(SMALL | changes).digest() == parse_study(SMALL).digest()


def test_a_setting_that_came_later_leaves_older_records_as_they_are() -> None:
    found = parse_study(SMALL).decisive()
    assert "measure_val" not in found
    assert "start" not in found["query"]
    assert "by_class" not in found["split"]
    assert set(found["prepare"]) == {"percentiles", "spacing", "size", "fit"}


def test_every_setting_is_frozen() -> None:
    study = Study.model_validate(SMALL)
    with pytest.raises(Exception, match="frozen"):
        study.train.steps = 3  # type: ignore[misc]
