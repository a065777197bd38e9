"""The published values as they are in the package."""

from __future__ import annotations

import math
from importlib.resources import files

import pytest

from curette.papers import PAPERS
from curette.papers.table import load_table

NAMES = sorted(p.name.removesuffix(".toml") for p in (files("curette.papers") / "tables").iterdir())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("table", "row", "column", "mean", "sd"),
    [
        ("pcdal-kvasir", "PCDAL", "40 %", 93.76, 0.20),
        ("pcdal-kvasir", "LPI", "10 %", 89.40, 0.94),
        ("pcdal-kvasir-precision", "Max-Entropy", "50 %", 93.77, None),
        ("pcdal-kvasir-flips", "Two flips", "50 %", 94.04, None),
        ("pcdal-covid", "VAAL", "PA 20 %", 97.56, None),
        ("pcdal-covid", "PCDAL", "Dice 10 %", 89.26, 1.19),
        ("pcdal-brats", "LPI", "HD95 50 %", 11.30, None),
        ("pcdal-brats", "PCDAL", "Dice 30 %", 85.10, None),
        ("sbc-al-acdc", "VAAL", "6.67 %", 66.40, None),
        ("sbc-al-acdc", "SBC-AL", "100 %", 91.37, None),
        ("sbc-al-acdc", "Mean STD", "33.33 %", 88.62, None),
        ("sbc-al-acdc-asr", "Concat", "LV", 95.10, None),
        ("sbc-al-kits19", "Random", "23.33 %", 83.41, None),
        ("sbc-al-kits19-unet-plus-plus", "LC", "10 %", 91.86, None),
        ("sbc-al-kits19-attention-unet", "SBC-AL", "10 %", 91.85, None),
        ("stochastic-batches-prostate", "Dropout+SB", "3D DSC", 72.59, None),
        ("stochastic-batches-prostate", "Random", "HD95", 7.032, None),
        ("stochastic-batches-hippocampus-anterior", "LearnLoss", "2D DSC", 69.70, None),
        ("stochastic-batches-hippocampus-posterior", "TTA+SB", "HD95", 4.43, None),
        ("stochastic-batches-prostate-initial", "Entropy", "15 slices", 73.19, None),
        ("stochastic-batches-prostate-initial", "LearnLoss+SB", "25 slices", 77.65, None),
        ("stochastic-batches-prostate-hyperparameters", "TTA+SB", "3D DSC", 78.67, None),
        ("paal-acdc", "PAAL", "10 %", 86.8, 2.2),
        ("paal-acdc", "Full data", "100 %", 91.6, None),
        ("paal-segthor", "CEAL", "10 %", 70.6, None),
        ("paal-brain", "LPL", "20 %", 66.6, None),
        ("paal-liver", "CoreSet", "20 %", 90.1, None),
        ("paal-acdc-ablation", "No IQ", "20 %", 89.4, None),
        ("melanoma-images", "Least confidence", "validation", 88, None),
        ("melanoma-images", "ALS+UNet", "test", 81, None),
        ("melanoma-regions", "Uncertain within .25", "verify, threshold .25", 19, None),
    ],
)
def test_values_are_those_printed(table: str, row: str, column: str, mean: float, sd: float | None) -> None:
    found = load_table(table)
    value = found.value(row, [c.name for c in found.columns].index(column))
    assert value.mean == mean
    assert value.sd == sd if sd is not None else math.isnan(value.sd)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_whole(name: str) -> None:
    table = load_table(name)
    columns = [column.name for column in table.columns]
    assert len(set(columns)) == len(columns)
    for i in range(len(columns)):
        assert any(not math.isnan(values[i].mean) for values in table.rows.values())
    assert all(c.at in ("queries", "last") or 0 < (c.share or 0) <= 1 for c in table.columns)


def test_every_table_belongs_to_a_part() -> None:
    used = {name for paper in PAPERS.values() for part in paper.parts for name in part.tables}
    assert used == set(NAMES)
