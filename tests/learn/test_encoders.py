"""Passes that see images only: their options, and what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curette.errors import ContractError, DataError, SettingError
from curette.learn.encoders import Encoding, check_options, check_rows, encodes, rows, stamp, trained
from curette.learn.passes import count, members
from curette.region import Region
from curette.registry import bind
from fakes import FakeImages

IMAGES = FakeImages()
REGIONS = IMAGES.regions(IMAGES.case_ids)


def _file(folder: Path, count: int = len(REGIONS)) -> Any:
    names = np.array([str(r) for r in REGIONS[:count]])
    np.savez(folder / "f.npz", ids=names, features=np.ones((count, 2), np.float32))
    return bind("passes", "features", str(folder / "f.npz"))


def test_encoders_need_no_network_and_make_no_pass(tmp_path: Path) -> None:
    for passes in (bind("passes", "self_supervised"), _file(tmp_path)):
        assert encodes(passes)
        assert (members(passes), count(passes)) == (0, 0)
    for name in ("none", "single", "dropout", "flips", "ensemble"):
        assert not encodes(bind("passes", name))
    assert trained(bind("passes", "self_supervised"))
    assert not trained(_file(tmp_path))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": 0}, "steps is 0, but must be 1 or more"),
        ({"width": 7}, "width is 7, but must be 8 or more"),
        ({"batch": 1}, "batch is 1, but must be 2 or more"),
        ({"temperature": 0.0}, "temperature is 0, but must be above 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"strength": 0.0}, "strength is 0, but must be above 0 and up to 2"),
        ({"strength": 2.5}, "strength is 2.5"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_is_trained(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingError, match=f"Passes 'self_supervised': {says}"):
        check_options(bind("passes", "self_supervised", **options))


def test_a_file_that_is_not_there_shows_with_the_options(tmp_path: Path) -> None:
    check_options(_file(tmp_path))
    with pytest.raises(DataError, match=r"no file of features .*gone\.npz"):
        check_options(bind("passes", "features", str(tmp_path / "gone.npz")))
    with pytest.raises(SettingError, match="file is 3, but must be a text"):
        check_options(bind("passes", "features", 3))
    with pytest.raises(SettingError, match="'features' needs a value for 'file'"):
        bind("passes", "features")
    check_options(bind("passes", "single"))


def test_every_row_of_a_file_is_looked_at_beforehand(tmp_path: Path) -> None:
    check_rows(_file(tmp_path), IMAGES, REGIONS)
    with pytest.raises(DataError, match=r"no features for 2 regions: 'p05@z=6'"):
        check_rows(_file(tmp_path, len(REGIONS) - 2), IMAGES, REGIONS)
    check_rows(bind("passes", "self_supervised"), IMAGES, REGIONS)  # nothing to look at
    check_rows(bind("passes", "single"), IMAGES, REGIONS)


def test_the_stamp_follows_the_contents_of_the_file(tmp_path: Path) -> None:
    assert stamp(bind("passes", "self_supervised")) == ""
    before = stamp(_file(tmp_path))
    assert stamp(_file(tmp_path, 3)) != before


@pytest.mark.parametrize("bad", [np.ones((3, 2)), np.ones(3, np.float32), np.ones((2, 2), np.float32), None])
def test_rows_of_another_shape_name_the_passes(bad: Any) -> None:
    with pytest.raises(ContractError, match=r"The passes 'self_supervised' gave .* for 3 regions"):
        rows(bad, bind("passes", "self_supervised"), 3)


def test_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.savez(tmp_path / "f.npz", ids=np.array(["a", "b", "c"]), features=values)
    passes = bind("passes", "features", str(tmp_path / "f.npz"))
    found = passes(Encoding(IMAGES, [Region("c"), Region("a")], seed=0))
    np.testing.assert_array_equal(found, values[[2, 0]])
