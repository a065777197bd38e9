"""Evaluation of a model whose predictions are written down: stacking, averaging, empties, memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from curette.errors import ContractError, CuretteWarning, SettingError
from curette.learn.evaluate import Measurement, evaluate
from curette.learn.prediction import Prediction
from curette.region import Region
from curette.task import Task

VOLUMES = Task(kind="segmentation", dims=3, classes={"background": 0, "head": 1, "tail": 2})
FLAT = Task(kind="segmentation", dims=2, classes={"background": 0, "lesion": 1})
CLASSES = Task(kind="classification", dims=2, classes={"a": 0, "b": 1, "c": 2})
PAD = 2


class Prepared:
    """Truths by case id; volumes are cut along `axis` and padded by `PAD` in plane, as a real preparation would."""

    def __init__(self, task: Task, truths: dict[str, Any], axis: int = 0, spacing: float = 1.0) -> None:
        self.task, self.truths, self.axis, self.mm = task, truths, axis, spacing
        self.restored: list[weakref.ref[NDArray[Any]]] = []

    def regions(self, case_ids: Sequence[str]) -> list[Region]:
        if self.task.dims == 2:
            return [Region(c) for c in sorted(case_ids)]
        return [
            Region(c, self.axis, i) for c in sorted(case_ids) for i in range(self.truths[c].shape[self.axis])
        ]

    def unit(self, region: Region) -> NDArray[Any]:
        truth = self.truths[region.case]
        plane = truth if region.axis < 0 else np.take(truth, region.index, axis=region.axis)
        return np.pad(plane, PAD, constant_values=1)  # a predicted rim that restoring must cut off

    def restore(self, case_id: str, stack: NDArray[Any]) -> NDArray[Any]:
        assert sum(ref() is not None for ref in self.restored) <= 1, "more than one case is held"
        core = stack[:, PAD:-PAD, PAD:-PAD]
        out = core[0].copy() if self.task.dims == 2 else np.moveaxis(core, 0, self.axis).copy()
        self.restored.append(weakref.ref(out))
        return out

    def truth(self, case_id: str) -> Any:
        return self.truths[case_id]

    def spacing(self, case_id: str) -> tuple[float, ...]:
        return (self.mm,) * self.task.dims


class Written:
    """A learner whose model is a prepared set: it predicts that set's units, in batches that cut through cases."""

    def __init__(self, classes: int, batch: int = 3, library: Any = np) -> None:
        self.classes, self.batch, self.library = classes, batch, library

    def predict(
        self, model: Any, regions: Sequence[Region], passes: Any, needs: frozenset[str], *, seed: int
    ) -> Iterator[Prediction]:
        assert str(passes) == "single"
        for i in range(0, len(regions), self.batch):
            chunk = regions[i : i + self.batch]
            found = [
                model.unit(r) if model.task.kind == "segmentation" else model.truths[r.case] for r in chunk
            ]
            mean = np.moveaxis(np.eye(self.classes, dtype=np.float32)[np.stack(found)], -1, 1)
            mean = 0.8 * mean + 0.1
            yield Prediction(chunk, self.library.asarray(mean))


def values(rows: list[Measurement]) -> dict[tuple[str, str], float]:
    assert len({(r.metric, r.cls) for r in rows}) == len(rows)
    return {(r.metric, r.cls): r.value for r in rows}


def volumes() -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Truth and prediction: case a has a shifted head and no tail, case b loses its tail; 4 and 3 slices."""
    a, b = np.zeros((4, 8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8)
    a[1:3, 2:6, 2:6] = 1
    b[0, 1:3, 1:3] = 1
    b[2, 4:6, 4:6] = 2
    return {"a": a, "b": b}, {"a": np.roll(a, 1, axis=1), "b": np.where(b == 2, 0, b)}


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_volumes_are_stacked_restored_and_averaged(axis: int, batch: int) -> None:
    truth, found = ({c: np.moveaxis(v, 0, axis).copy() for c, v in by_case.items()} for by_case in volumes())
    rows = evaluate(
        Written(3, batch), Prepared(VOLUMES, found, axis), Prepared(VOLUMES, truth, axis, 2.0), ["b", "a"]
    )
    diagonal = 2 * np.linalg.norm([3, 8, 8])
    assert values(rows) == pytest.approx(
        {
            ("dice_2d", "head"): (1 + 0.75 + 0.75 + 1 + 1 + 1 + 1) / 7,
            ("dice_2d", "tail"): 6 / 7,
            ("dice_2d", "mean"): (6.5 + 6) / 14,
            ("dice_3d", "head"): (0.75 + 1) / 2,
            ("dice_3d", "tail"): 0.5,
            ("dice_3d", "mean"): (1.75 + 1) / 4,
            ("dice_pooled", "head"): 2 * (24 + 4) / (2 * 36),
            ("dice_pooled", "tail"): 0,
            ("dice_pooled", "mean"): 56 / 72 / 2,
            ("pixel_accuracy", "mean"): (240 / 256 + 188 / 192) / 2,
            ("class_pixel_accuracy", "head"): 28 / 36,
            ("class_pixel_accuracy", "tail"): 0,
            ("class_pixel_accuracy", "mean"): 14 / 36,
            ("hd95_mm", "head"): 1,
            ("hd95_mm", "tail"): diagonal / 2,
            ("hd95_mm", "mean"): (1 + diagonal / 2) / 2,
            ("hd95_one_empty", "head"): 0,
            ("hd95_one_empty", "tail"): 1,
        }
    )


def test_torch_predictions_give_the_same() -> None:
    torch = pytest.importorskip("torch")
    truth, found = volumes()
    model, prepared = Prepared(VOLUMES, found), Prepared(VOLUMES, truth)
    expected = evaluate(Written(3), model, prepared, ["a", "b"])
    assert evaluate(Written(3, library=torch), model, prepared, ["a", "b"]) == expected


def test_flat_images_and_chosen_metrics() -> None:
    truth = np.zeros((6, 6), np.uint8)
    truth[2:4, 2:4] = 1
    prepared = Prepared(FLAT, {"x": truth, "y": truth * 0})
    model = Prepared(FLAT, {"x": np.roll(truth, 1, axis=0), "y": truth * 0})
    rows = evaluate(Written(2), model, prepared, ["x", "y"], metrics=("dice_2d", "hd_mm"))
    assert values(rows) == pytest.approx(
        {
            ("dice_2d", "lesion"): 0.75,
            ("dice_2d", "mean"): 0.75,
            ("hd_mm", "lesion"): 0.5,
            ("hd_mm", "mean"): 0.5,
            ("hd95_one_empty", "lesion"): 0,
        }
    )


def test_a_case_without_an_annotated_voxel_counts_nowhere() -> None:
    truth, found = volumes()
    alone = evaluate(Written(3), Prepared(VOLUMES, found), Prepared(VOLUMES, truth), ["a"])
    truth["b"] = np.full_like(truth["b"], 255)
    both = evaluate(Written(3), Prepared(VOLUMES, found), Prepared(VOLUMES, truth), ["a", "b"])
    assert both == alone
    with pytest.raises(SettingError, match="annotated voxel"):
        evaluate(Written(3), Prepared(VOLUMES, found), Prepared(VOLUMES, truth), ["b"])


def test_classification() -> None:
    truth = dict(zip("pqrstu", [0, 0, 1, 1, 2, 2], strict=True))
    found = dict(zip("pqrstu", [0, 1, 1, 1, 2, 2], strict=True))
    rows = values(evaluate(Written(3, 4), Prepared(CLASSES, found), Prepared(CLASSES, truth), list(truth)))
    assert rows[("accuracy", "mean")] == pytest.approx(5 / 6)
    assert ("accuracy", "a") not in rows
    assert rows[("balanced_accuracy", "a")] == 0.5
    assert rows[("balanced_accuracy", "mean")] == pytest.approx(2.5 / 3)
    assert rows[("precision", "mean")] == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert rows[("auroc", "c")] == 1


def test_an_undefined_class_is_left_out_aloud() -> None:
    truth = dict.fromkeys("pq", 0) | {"r": 1}
    prepared = Prepared(CLASSES, truth)
    with pytest.warns(CuretteWarning, match="auroc is undefined for c:"):
        rows = values(evaluate(Written(3), prepared, prepared, list(truth), metrics=("auroc",)))
    assert rows == {("auroc", "a"): 1, ("auroc", "b"): 1, ("auroc", "mean"): 1}
    with pytest.warns(CuretteWarning, match="auroc is undefined for a, b, c"):
        assert evaluate(Written(3), prepared, prepared, ["p", "q"], metrics=("auroc",)) == []


def test_no_case_is_an_error() -> None:
    with pytest.raises(SettingError, match="no case"):
        evaluate(Written(3), None, Prepared(CLASSES, {}), [])


@pytest.mark.parametrize("trouble", ["skips", "swaps", "stops"])
def test_a_learner_that_skips_swaps_or_stops_is_found_out(trouble: str) -> None:
    class Broken(Written):
        def predict(self, *args: Any, **more: Any) -> Iterator[Prediction]:
            batches = list(super().predict(*args, **more))
            if trouble == "swaps":
                batches[0], batches[1] = batches[1], batches[0]
            yield from {"skips": batches[1:], "swaps": batches, "stops": batches[:-1]}[trouble]

    truth, _ = volumes()
    prepared = Prepared(VOLUMES, truth)
    with pytest.raises(ContractError, match="learner"):
        evaluate(Broken(3), prepared, prepared, ["a", "b"])


def test_an_own_metric_is_measured_when_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from curette import registry

    monkeypatch.setattr(registry, "_components", dict(registry._components))
    card = {"task": "segmentation", "dims": (3,), "higher": False, "usual": False}

    @registry.register("metric", "volume_error", of="comparison", **card)  # type: ignore[arg-type]
    def volume_error(case: Any) -> NDArray[np.float64]:
        voxels = np.abs(case.whole.sum(axis=0) - case.whole.sum(axis=1))[1:]
        return voxels[None] * np.prod(case.spacing)

    truth, found = volumes()
    prepared = Prepared(VOLUMES, truth, spacing=2.0)
    rows = values(
        evaluate(Written(3), Prepared(VOLUMES, found), prepared, ["a", "b"], metrics=["volume_error"])
    )
    assert rows == {("volume_error", "head"): 0, ("volume_error", "tail"): 16, ("volume_error", "mean"): 8}
