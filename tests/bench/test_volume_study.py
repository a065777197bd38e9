"""A study of whole volumes from its file to its report: crops, windows, patches of volumes, pictures of slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curette.bench.gallery import load_gallery
from curette.bench.planes import stacked, telling
from curette.bench.record import read_record
from curette.bench.report import build_report
from curette.bench.study import run_study
from curette.bench.thumbnails import _inside
from curette.errors import SettingError
from curette.recipe import Study
from curette.region import Region
from tiny_study import tiny_study

PATCH = "single > entropy > patch(8, 8, 4) > top"


def study(**changes: Any) -> Study:
    raw: dict[str, Any] = {
        "strategies": ["random", "entropy", PATCH],
        "seeds": [0],
        "gallery": True,
        "data": {
            "unit": "volume",
            "options": {"patients": 6, "size": [18, 14, 10], "spacing": [1.5, 1.5, 3.0], "seed": 3},
        },
        "train": {
            "steps": 6,
            "batch": 2,
            "crop": [16, 16, 8],
            "precision": "32-true",
            "options": {"widths": [4, 8], "dropout": 0.1},
        },
        "query": {"initial": 2, "budget": 1, "cycles": 3},
    }
    return tiny_study(**raw | changes)


def picks(folder: Path) -> list[tuple[str, int, int, str]]:
    return [(p.strategy, p.cycle, p.rank, p.region) for p in read_record(folder).picks]


def test_a_study_of_volumes_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_study(study(), tmp_path / "a")
    record = read_record(tmp_path / "a")
    assert not record.unfinished
    measured = {r.metric for r in record.results}
    assert {"dice_2d", "dice_3d", "hd95_mm"} <= measured
    assert all(r.value <= np.linalg.norm([27, 21, 30]) for r in record.results if r.metric == "hd95_mm")
    parts = [Region.parse(p.region) for p in record.picks if p.strategy == PATCH and p.cycle > 0]
    assert [[b - a for a, b in part.box] for part in parts] == [[8, 8, 4]] * 2
    gallery = load_gallery(next((tmp_path / "a" / "gallery").glob("*patch*-0-1.npz")))
    (z,), part = gallery.slices, Region.parse(gallery.regions[0])
    assert part.box[2][0] <= z < part.box[2][1]
    assert gallery.image.shape == (1, 1, 18, 14)
    assert _inside(part, gallery).sum() == 64
    assert f", slice {z}" in build_report(tmp_path / "a").read_text(encoding="utf-8")
    _kill_and_go_on(tmp_path / "b", monkeypatch)
    assert picks(tmp_path / "b") == [p for p in picks(tmp_path / "a") if p[0] == PATCH]


def _kill_and_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One strategy of the same study, interrupted after every step."""
    from curette.bench import jobs

    do = jobs.Bench.do

    def once(self: Any, job: Any, report: Any) -> None:
        def stop(step: Any) -> None:
            report(step)
            raise KeyboardInterrupt

        do(self, job, stop)

    monkeypatch.setattr(jobs.Bench, "do", once)
    for _ in range(60):
        try:
            run_study(study(strategies=[PATCH]), folder)
        except KeyboardInterrupt:
            continue
        return
    raise AssertionError("the study never ends")


def test_volumes_of_two_channels(tmp_path: Path) -> None:
    """Two weightings of the same anatomy: the network sees both, and so does the gallery."""
    options = {"patients": 6, "size": [18, 14, 10], "channels": 2}
    asked = study(strategies=["random", PATCH], data={"unit": "volume", "options": options})
    run_study(asked, tmp_path)
    record = read_record(tmp_path)
    assert not record.unfinished
    assert {r.strategy for r in record.results if r.metric == "dice_3d"} == {"random", PATCH}
    image = load_gallery(next((tmp_path / "gallery").glob("*patch*-0-1.npz"))).image
    assert image.shape == (1, 2, 18, 14)
    assert (image[:, 0] != image[:, 1]).any()


def test_a_crop_that_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    flat = study(train={"crop": [16, 16]})
    with pytest.raises(SettingError, match=r"train\.crop = \[16, 16\] must be 3 positive"):
        run_study(flat, tmp_path / "a")
    assert not (tmp_path / "a" / "ledger.db").exists()


def test_the_most_telling_slice() -> None:
    label = np.zeros((4, 5, 6), np.uint8)
    assert telling(Region("a"), label, 255) in (2, 3)
    label[1, 1, 4] = 1
    label[:, :, 0] = 255
    assert telling(Region("a"), label, 255) == 4
    assert telling(Region("a", box=((0, 2), (0, 2), (1, 4))), label, 255) == 2
    mask = np.zeros((3, 3, 4), bool)
    mask[1, 1, :3] = mask[2, 1, 3] = mask[1, 2, 3] = True
    assert telling(Region.shaped(Region("a"), mask, (0, 0, 2)), label, 255) == 5


def test_planes_of_different_sizes_in_one_array() -> None:
    both = stacked([np.ones((1, 2, 5)), np.full((1, 4, 3), 2.0)])
    assert both.shape == (2, 1, 4, 5)
    assert both.sum() == 10 + 24


@pytest.mark.filterwarnings("ignore:.* is undefined for")  # six test cases do not hold every class
@pytest.mark.parametrize("channels", [1, 2])
def test_classes_of_volumes_from_end_to_end(tmp_path: Path, channels: int) -> None:
    """What is asked about is a class of a whole volume; the report shows its middle slice."""
    options = {"task": "classification", "patients": 20, "size": [16, 14, 10], "channels": channels}
    run_study(
        study(
            strategies=["random", "entropy", "pcdal", "core_set"],
            data={"unit": "volume", "options": options},
            split={"train": 14, "val": 0, "test": 6},
            train={"model": "cnn", "steps": 3, "batch": 2, "precision": "32-true"},
        ),
        tmp_path,
    )
    record = read_record(tmp_path)
    assert not record.unfinished
    assert {"accuracy", "balanced_accuracy", "precision", "auroc"} <= {r.metric for r in record.results}
    gallery = load_gallery(next((tmp_path / "gallery").glob("entropy-0-1.npz")))
    assert gallery.image.shape == (1, channels, 16, 14)
    assert gallery.truth.shape == gallery.prediction.shape == (1,)
    assert gallery.slices == (5,)
    assert gallery.classes == ("no finding", "nodule", "two medullas")
    assert ", slice 5" in build_report(tmp_path).read_text(encoding="utf-8")


def test_classes_side_by_side() -> None:
    assert stacked([np.array(2), np.array(0)]).tolist() == [2, 0]
