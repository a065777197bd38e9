"""Models on disk, devices, precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from curette.errors import DataError, SettingError
from curette.learn import precision, torch_learner
from curette.learn.crops import Read, Whole
from curette.learn.torch_learner import TorchLearner
from curette.recipe import Train
from curette.region import Region
from curette.registry import bind
from curette.task import Task
from learn.toys import BLOBS, DISCS, Pictures, learner


def test_a_stored_model_predicts_the_same_to_the_bit(tmp_path: Path) -> None:
    pictures = Pictures(DISCS, 4)
    maker = learner(pictures, steps=5)
    model = maker.fit(pictures.labels, seed=0, members=2)
    maker.save(model, tmp_path / "models" / "m.pt")
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["m.pt"]
    again = learner(pictures).load(tmp_path / "models" / "m.pt")
    assert again.members == 2
    passes = bind("passes", "ensemble", 2)
    one, two = (
        next(maker.predict(m, pictures.regions, passes, frozenset(), seed=0)).mean for m in (model, again)
    )
    assert torch.equal(one, two)


@pytest.mark.parametrize("task", [DISCS, BLOBS], ids=["segmentation", "classification"])
def test_what_does_not_fit_into_memory_is_read_batch_by_batch_and_trains_the_same(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = Pictures(task, 12)
    most: list[int] = []
    batch = pictures.batch
    monkeypatch.setattr(pictures, "batch", lambda regions: most.append(len(regions)) or batch(regions))
    weights = []
    for free in (10**12, 0):
        most.clear()
        monkeypatch.setattr(torch_learner, "_free", lambda _, free=free: free)
        model = learner(pictures, steps=6, batch=5, companions=()).fit(pictures.labels, seed=0)
        weights.append(model.networks[0].state_dict())
        assert (max(most) == 12) == (free > 0)
    assert all(torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))
    if task == DISCS:
        labels = {r: np.where(np.arange(24) < 9, 255, label) for r, label in pictures.labels.items()}
        known = np.concatenate([label[:, 9:].ravel() for label in pictures.labels.values()])
        counts = learner(pictures)._samples(pictures.regions, labels).counts  # read, as nothing is free
        assert counts.tolist() == np.bincount(known).tolist()
    wrong = {**pictures.labels, pictures.regions[3]: np.full_like(pictures.labels[pictures.regions[3]], 77)}
    with pytest.raises(DataError, match=rf"{pictures.regions[3]} holds \[77\]"):
        learner(pictures).fit(wrong, seed=0)


class Mixed(Pictures):
    """Volumes of two sizes, padded to the largest of a batch as prepared ones are."""

    def __init__(self) -> None:
        super().__init__(BLOBS, 12)
        self.task = Task(kind="classification", dims=3, classes=BLOBS.classes)
        for number, region in enumerate(self.regions):
            depth, cut = (9, 3) if number % 3 else (7, 0)
            flat = self.images[region][:, : 20 - cut]
            self.images[region] = np.repeat(flat[..., None], depth, axis=-1)

    def unit_shape(self, unit: Region) -> tuple[int, ...]:
        return self.images[unit].shape[1:]

    def batch(self, regions: Sequence[Region]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        size = [max(n) for n in zip(*map(self.unit_shape, regions), strict=True)]
        found = np.zeros((len(regions), 1, *size), np.float32)
        for image, region in zip(found, regions, strict=True):
            image[tuple(slice(n) for n in self.images[region].shape)] = self.images[region]
        return found, None


def test_volumes_of_different_sizes_train_the_same_in_memory_and_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volumes = Mixed()
    assert volumes.unit_shape(volumes.regions[0]) == (20, 24, 7)
    assert volumes.unit_shape(volumes.regions[1]) == (17, 24, 9)
    monkeypatch.setattr(torch_learner, "_GATHER", 1)  # each is read by itself, in the size it has
    weights = []
    for free in (10**12, 0):
        monkeypatch.setattr(torch_learner, "_free", lambda _, free=free: free)
        maker = learner(volumes, steps=4, batch=1)
        weights.append(maker.fit(volumes.labels, seed=0).networks[0].state_dict())
        samples = maker._samples(volumes.regions, volumes.labels)
        assert isinstance(samples, Whole if free else Read)
        assert samples.shape == (1, 20, 24, 9)
        for row, region in enumerate(volumes.regions):
            image = samples.draw(torch.tensor([row]), np.random.default_rng(0))[0][0].numpy()
            inside = tuple(slice(n) for n in volumes.images[region].shape)
            assert image.shape == samples.shape
            assert (image[inside] == volumes.images[region]).all()
            assert np.count_nonzero(image) == np.count_nonzero(image[inside])
    assert all(torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))


def test_a_model_that_is_missing_truncated_or_of_another_task_is_refused(tmp_path: Path) -> None:
    pictures = Pictures(DISCS, 2)
    maker, path = learner(pictures, steps=1), tmp_path / "m.pt"
    with pytest.raises(DataError, match="no model"):
        maker.load(path)
    maker.save(maker.fit(pictures.labels, seed=0), path)
    whole = path.read_bytes()
    for kept in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:kept])
        with pytest.raises(DataError, match=r"m\.pt cannot be read"):
            maker.load(path)
    path.write_bytes(whole)
    with pytest.raises(DataError, match="options differ"):
        learner(pictures, options={"widths": [8, 16]}).load(path)
    with pytest.raises(DataError, match="model, options, kind, classes differ"):
        learner(Pictures(BLOBS, 2)).load(path)
    content = torch.load(path)
    content["weights"][0].popitem()
    torch.save(content, path)
    with pytest.raises(DataError, match=r"m\.pt was trained by another version"):
        maker.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = Pictures(DISCS, 2)
    maker, path = learner(pictures, steps=1), tmp_path / "m.pt"
    model = maker.fit(pictures.labels, seed=0)
    maker.save(model, path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="disk full"):
        maker.save(model, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt"]


def test_devices_that_are_not_there_are_settings_errors() -> None:
    pictures = Pictures(DISCS, 1)
    for device in ("tpu", "mps", f"cuda:{torch.cuda.device_count() + 3}"):
        with pytest.raises(SettingError, match=r"train\.device"):
            TorchLearner(DISCS, pictures, Train(device=device), channels=1, batch=1)


class _Clock:
    """Stands in for a timed step: bf16 is `gain` times faster."""

    def __init__(self, gain: float) -> None:
        self.gain, self.calls = gain, 0

    def __call__(self, _network: nn.Module, _x: torch.Tensor, bf16: bool) -> float:
        self.calls += 1
        return 1 / self.gain if bf16 else 1.0


@pytest.mark.parametrize(("gain", "expected"), [(2.0, "bf16-mixed"), (1.1, "32-true"), (0.2, "32-true")])
def test_bf16_is_used_where_it_gains_and_the_answer_is_kept(
    gain: float, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CURETTE_CACHE", str(tmp_path))
    monkeypatch.delenv(precision.VARIABLE, raising=False)
    monkeypatch.setattr(precision, "_known", {})
    clock = _Clock(gain)
    monkeypatch.setattr(precision, "_step", clock)
    shape, device = (1, 1, 4, 4), torch.device("cpu")

    def choose() -> str:
        return precision.choose("auto", device, lambda: nn.Conv2d(1, 1, 1), shape)

    assert choose() == expected
    asked = clock.calls
    clock.gain = 1 / gain
    assert choose() == expected
    monkeypatch.setattr(precision, "_known", {})  # another process
    assert choose() == expected
    assert clock.calls == asked > 0


def test_a_setting_or_the_environment_decides_before_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> nn.Module:
        raise AssertionError("probed")

    device = torch.device("cpu")
    assert precision.choose("bf16-mixed", device, never, (1,)) == "bf16-mixed"
    monkeypatch.setenv(precision.VARIABLE, "32-true")
    assert precision.choose("auto", device, never, (1,)) == "32-true"
    monkeypatch.setenv(precision.VARIABLE, "fast")
    with pytest.raises(SettingError, match="CURETTE_PRECISION is 'fast'"):
        precision.choose("auto", device, never, (1,))


def test_a_real_probe_answers_and_leaves_the_generator_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(precision.VARIABLE, raising=False)
    monkeypatch.setenv("CURETTE_CACHE", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_text("no folder can be made below a file")
    monkeypatch.setattr(precision, "_known", {})
    state = torch.get_rng_state()
    found = precision.choose("auto", torch.device("cpu"), lambda: nn.Conv2d(1, 4, 3), (2, 1, 8, 8))
    assert found in ("32-true", "bf16-mixed")
    assert torch.equal(state, torch.get_rng_state())


def test_bf16_training_and_prediction_end_in_float32() -> None:
    pictures = Pictures(DISCS, 2)
    maker = learner(pictures, steps=2, precision="bf16-mixed")
    model = maker.fit(pictures.labels, seed=0)
    assert model.precision == "bf16-mixed"
    assert all(p.dtype == torch.float32 for p in model.networks[0].parameters())
    found = next(
        maker.predict(model, pictures.regions, bind("passes", "single"), frozenset({"logits"}), seed=0)
    )
    assert found.mean.dtype == found.logits.dtype == torch.float32
    np.testing.assert_allclose(found.mean.sum(1).numpy(), 1, atol=1e-5)
