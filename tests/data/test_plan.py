import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import decathlon, pictures

from curette.data.build import scale
from curette.data.case import Case, Dataset, Geometry, Volume
from curette.data.datasets import open_dataset
from curette.data.grid import Grid
from curette.data.io import FileSource
from curette.data.plan import plan, spooled
from curette.data.prepare import prepare
from curette.errors import SettingError
from curette.recipe import Data, Prepare
from curette.task import Task


class Made:
    def __init__(self, array: Any, spacing: tuple[float, ...], name: str) -> None:
        self.array, self.spacing, self.name, self.stamp = array, spacing, name, name

    def read(self) -> Volume:
        affine = np.diag([*self.spacing, *[1.0] * (4 - len(self.spacing))])
        return Volume(self.array, Geometry(affine, affine, self.array.shape[1:]))


PLANES = [(40, 50), (31, 17), (9, 80), (12, 10)]
BLOCKS = [(20, 30, 7), (9, 40, 5), (8, 8, 3)]


@pytest.mark.parametrize("shapes", [PLANES, BLOCKS], ids=["flat", "volumes"])
@pytest.mark.parametrize("unit", ["slice", "volume"])
@pytest.mark.parametrize(
    "settings",
    [
        {"fit": "resize", "size": (16, 24, 4)},
        {"fit": "resize"},
        {"fit": "pad", "size": (16, 24, 4)},
        {"fit": "pad", "spacing": (2.5, 2.0, 1.0)},
        {"fit": "resize", "size": (16, 24, 4), "spacing": (2.5, 2.0, 3.0)},
    ],
    ids=str,
)
def test_what_is_shrunk_before_it_is_spooled_has_the_same_values(
    shapes: list[tuple[int, ...]], unit: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    dims = len(shapes[0])
    unit = "image" if dims == 2 else unit
    axis = 2 if unit == "slice" else None
    lengths = {"size": dims - (axis is not None), "spacing": dims}
    settings = {k: v[: lengths[k]] if k in lengths else v for k, v in settings.items()}
    rng, spacing = np.random.default_rng(0), (1.0, 1.5, 2.0)[:dims]
    arrays = [rng.integers(0, 256, (3, *shape)).astype(np.uint8) for shape in shapes]
    task = Task(kind="segmentation", dims=dims, classes={"a": 0, "b": 1}, channels=("r", "g", "b"))
    cases = [Case(f"c{i}", f"p{i}", (Made(array, spacing, str(i)),)) for i, array in enumerate(arrays)]
    to = Prepare(cache=tmp_path, **settings)
    prepared = prepare(Dataset("made", task, tuple(cases)), Data(dataset="x", unit=unit), to)
    grids: list[Grid] = plan(shapes, [spacing] * len(shapes), axis, to)
    for case, array, grid in zip(prepared.case_ids, arrays, grids, strict=True):
        expected = np.zeros((grid.units, 3, *grid.size), np.float32)
        grid.image(scale(array, to.percentiles), expected)  # without a spool
        np.testing.assert_array_equal(prepared.batch(prepared.regions([case]))[0], expected)


def test_large_pictures_are_spooled_at_the_size_they_get(tmp_path: Path) -> None:
    root = pictures(tmp_path / "data", shape=(200, 120))
    data, seen = Data(dataset="folder", root=root), []

    def progress(*_: int) -> None:
        seen.append(sum(p.stat().st_size for p in (tmp_path / "cache").rglob("spool.bin")))

    to = Prepare(size=(16, 8), fit="resize", cache=tmp_path / "cache")
    prepare(open_dataset(data), data, to, progress)
    assert max(seen) <= 4 * 4 * 16 * 8


def test_small_pictures_are_not_spooled_larger() -> None:
    to = Prepare(size=(224, 224), fit="resize")
    assert spooled((28, 28), (1, 1), None, to) == (28, 28)
    assert spooled((500, 300), (1, 1), None, to) == (224, 224)
    assert spooled((500, 300), (1, 1), None, Prepare(fit="resize")) == (500, 300)


@pytest.mark.parametrize("kind", ["folder", "msd"])
def test_too_little_room_is_told_before_anything_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = (pictures if kind == "folder" else decathlon)(tmp_path / "data")
    data = Data(dataset=kind, root=root, unit="image" if kind == "folder" else "slice")
    dataset, real = open_dataset(data), shutil.disk_usage
    free = (
        4 * 4 * 20 * 12 if kind == "folder" else 4 * 4 * 8 * 10 * 4
    )  # room for the spool, or the units, but not both

    def read(_: FileSource) -> Volume:
        raise AssertionError("A file is read.")

    monkeypatch.setattr(FileSource, "read", read)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=free))
    with pytest.raises(
        SettingError, match=r"more while they are made, but .*prepare\.size, or prepare\.cache"
    ):
        prepare(dataset, data, Prepare(cache=tmp_path / "cache"))
