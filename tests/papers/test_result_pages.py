"""The pages under docs/results, as docs/resultpages.py writes them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "resultpages.py"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("resultpages", PAGES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["resultpages"] = module
    spec.loader.exec_module(module)
    return module


def order(table: str, better: str, worse: str, gain: float, **more: Any) -> dict[str, Any]:
    sure = {"appears": gain > 0, "beyond_noise": abs(gain) > 1, "low": gain - 1, "high": gain + 1}
    return {
        "table": table, "better": better, "worse": worse, "metric": "dice_3d", "class": "mean", "difference_ours": gain,
        **sure, **more,
    }  # fmt: skip


def table(name: str, **rows: str) -> dict[str, Any]:
    return {"name": name, "rows": [{"name": row, "strategy": text} for row, text in rows.items()]}


def test_a_part_whose_rows_are_all_arms_has_no_curves(
    pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"title": "T", "tables": [], "orderings": []}
    monkeypatch.setattr(pages, "load_beside", lambda run: found)
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path), str(tmp_path / "page.md")])
    pages.main()
    assert "Learning curves" not in (tmp_path / "page.md").read_text(encoding="utf-8")


def test_rows_that_are_one_strategy_are_counted_once(pages: ModuleType) -> None:
    found = {
        "tables": [
            table(
                "main", Ours="paal", LeastConf="least_confidence", VarRatio="least_confidence", Full="random"
            ),
            table("parts", Ours="paal", Without="least_confidence", Random="random"),
        ],
        "orderings": [
            order("main", "Ours", "LeastConf", 2.0),
            order("main", "Ours", "VarRatio", 2.0),
            order("parts", "Ours", "Without", 2.0),
            order("main", "Ours", "VarRatio", 2.0, metric="dice_2d"),
            order("main", "Ours", "Full", -3.0),
            order("parts", "Ours", "Random", 0.5),
            order("parts", "Ours", "Random", 0.5, appears=None),
        ],
    }
    said = pages.verdicts(found)
    assert said.startswith(
        "Of 4 orders that the paper prints and that were measured (6 lines below, where rows that are one strategy here"
    )
    assert "3 appear, 2 of them beyond" in said
    assert "1 are reversed, 1 of them beyond" in said
    found["orderings"] = found["orderings"][3:5]
    assert "lines below" not in pages.verdicts(found)


def test_curves_are_of_the_test_also_where_validation_comes_first(pages: ModuleType, tmp_path: Path) -> None:
    lines = ["strategy,seed,cycle,labelled,metric,class,value"]
    for seed in (0, 1):
        for cycle in (0, 1):
            value = 0.5 + 0.1 * seed + 0.2 * cycle
            lines.append(f"random,{seed},{cycle},{5 + cycle},dice_2d_val,mean,0.1")
            lines.append(f"random,{seed},{cycle},{5 + cycle},dice_2d,mean,{value}")
    (tmp_path / "results.csv").write_text("\n".join(lines), encoding="utf-8")
    columns = [{"metric": metric} for metric in (None, "dice_2d_val", "dice_2d")]
    found = {"tables": [table("main", Random="random") | {"columns": columns}]}
    shown = pages.curves(tmp_path, found)
    assert shown[0] == "## Learning curves: `dice_2d`"
    assert "| Random | 0.550 ± 0.071 | 0.750 ± 0.071 |" in shown
