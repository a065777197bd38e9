"""The contract of companions, with a small one of our own, alone and in the real training loop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from toys import DISCS, Pictures, learner

from curette.errors import SettingError
from curette.learn.columns import Pass
from curette.learn.companions import check, companions_for
from curette.learn.companions.contract import Accompanied, Companion, Seen, accompany, levels
from curette.learn.learner import Assignment
from curette.learn.models import build
from curette.learn.progress import Clock
from curette.learn.torch_learner import TorchModel
from curette.recipe import Train
from curette.registry import _components, bind, register
from curette.task import Task


class Brightness(Companion):
    """Learns the mean of an image from the deepest features, which it detaches; doubles logits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.line = nn.Linear(width, 1)

    def refine(self, seen: Seen) -> Tensor:
        return 2 * seen.logits

    def loss(self, seen: Seen, said: Tensor, labels: Tensor, clock: Clock) -> Tensor | None:
        if clock.step < 1:
            return None
        return mse_loss(self._guess(seen), seen.images.flatten(1).mean(1))

    def outputs(self, seen: Seen, said: Tensor) -> dict[str, Tensor]:
        return {"brightness": self._guess(seen)}

    def optimiser(self, settings: Train) -> torch.optim.Optimizer | None:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def rate(self, clock: Clock, rate: float) -> float:
        return 1.0

    def _guess(self, seen: Seen) -> Tensor:
        return self.line(seen.levels[-1].detach().flatten(2).mean(2)).flatten()


@pytest.fixture(autouse=True)
def _brightness() -> Iterator[None]:
    @register("companion", "brightness", gives=("brightness",))
    def brightness(network: nn.Module, task: Task, channels: int) -> Companion:
        return Brightness(24)

    @register("column", "brightness", outputs=("brightness",))
    def column(seen: Pass) -> Any:
        return seen.outputs["brightness"]

    yield
    for key in [("companion", "brightness"), ("companion", "again"), ("column", "brightness")]:
        _components.pop(key, None)


def _company() -> Assignment:
    return Assignment(companions=(bind("companion", "brightness"),))


def _told(learned: Any, model: TorchModel, pictures: Pictures) -> Tensor:
    passes = bind("passes", "single")
    found = learned.predict(model, pictures.regions, passes, frozenset({"brightness"}), seed=0)
    return torch.cat([prediction.columns["brightness"] for prediction in found])


def test_what_a_column_looks_at_names_its_companion() -> None:
    assert [str(c) for c in companions_for({"mean", "brightness"})] == ["brightness"]
    assert companions_for({"mean", "embedding"}) == []


def test_a_companion_learns_and_is_heard_and_leaves_the_network_alone() -> None:
    pictures = Pictures(DISCS, 12)
    learned = learner(pictures, steps=80)
    model = learned.fit(pictures.labels, seed=3, assignment=_company())
    told = _told(learned, model, pictures)
    wanted = torch.tensor([float(pictures.images[r].mean()) for r in pictures.regions])
    assert (told - wanted).abs().mean() < 0.03  # it began with a guess of its own
    alone = learned.fit(pictures.labels, seed=3)
    # Its weights are drawn apart and its loss is detached; only the doubled logits reach the network.
    assert isinstance(model.networks[0], Accompanied)
    first, second = model.networks[0].network.state_dict(), alone.networks[0].state_dict()
    assert first.keys() == second.keys()


def test_a_network_in_company_is_built_like_the_network_alone() -> None:
    pictures = Pictures(DISCS, 4)
    learned = learner(pictures)
    with_it = learned._made(7, 0, _company().companions)
    alone = learned._made(7, 0, ())
    assert isinstance(with_it, Accompanied)
    for name, value in alone.state_dict().items():
        assert torch.equal(with_it.network.state_dict()[name], value), name


def test_a_model_in_company_survives_the_disk(tmp_path: Path) -> None:
    pictures = Pictures(DISCS, 6)
    learned = learner(pictures, steps=5)
    model = learned.fit(pictures.labels, seed=1, assignment=_company())
    learned.save(model, tmp_path / "m.pt")
    again = learned.load(tmp_path / "m.pt")
    assert again.companions == model.companions
    assert again.record == model.record == {"steps": 5}
    assert torch.equal(_told(learned, again, pictures), _told(learned, model, pictures))


def test_nobody_to_ask_is_said() -> None:
    pictures = Pictures(DISCS, 4)
    learned = learner(pictures, steps=2)
    model = learned.fit(pictures.labels, seed=0)
    with pytest.raises(SettingError, match="'brightness' looks at what a companion says"):
        _told(learned, model, pictures)


def test_windows_and_companions_exclude_each_other() -> None:
    pictures = Pictures(DISCS, 4)
    learned = learner(pictures, steps=2)
    model = learned.fit(pictures.labels, seed=0, assignment=_company())
    passes = bind("passes", "windows", bind("passes", "single"), size=8, stride=8)
    with pytest.raises(SettingError, match="windows"):
        list(learned.predict(model, pictures.regions, passes, frozenset({"brightness"}), seed=0))


def test_several_passes_are_averaged() -> None:
    pictures = Pictures(DISCS, 4)
    learned = learner(pictures, steps=2)
    model = learned.fit(pictures.labels, seed=0, assignment=_company())
    passes, needs = bind("passes", "dropout", 3), frozenset({"brightness"})
    several = torch.cat(
        [p.columns["brightness"] for p in learned.predict(model, pictures.regions, passes, needs, seed=0)]
    )
    assert several.shape == (4,)
    assert not torch.equal(several, _told(learned, model, pictures))


def test_tensors_of_a_pass_are_let_go() -> None:
    pictures = Pictures(DISCS, 4)
    learned = learner(pictures, steps=2)
    model = learned.fit(pictures.labels, seed=0, assignment=_company())
    company = model.networks[0]
    assert isinstance(company, Accompanied)
    list(learned.predict(model, pictures.regions, bind("passes", "single"), frozenset({"mean"}), seed=0))
    assert company._last is None
    assert not company._levels


@pytest.mark.parametrize(
    "model",
    [
        "unet",
        "basic_unet",
        "monai_unet",
        "unet_plus_plus",
        "attention_unet",
        "resnet18_unet",
        "ab_unet",
        "pcdal_unet",
    ],
)
def test_levels_get_coarser_and_end_with_the_deepest(model: str) -> None:
    network = build(DISCS, 1, Train(model=model)).eval()
    company = accompany(network, _company().companions, DISCS, 1)
    assert isinstance(company, Accompanied)
    company.keep = True
    with torch.inference_mode():
        said = company(torch.randn(1, 1, 37, 45))
    assert company._last is not None
    seen = company._last[0]
    assert len(seen.levels) == len(levels(network)) >= 3
    sides = [level.shape[2] for level in seen.levels]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] > sides[-1]
    assert said.shape == (1, 3, 37, 45)
    if getattr(network, "head", None) is not None:
        assert seen.features is not None
        assert seen.features.shape[2:] == (37, 45)


def test_two_that_give_the_same_are_refused() -> None:
    @register("companion", "again", gives=("brightness",))
    def again(network: nn.Module, task: Task, channels: int) -> Companion:
        return Brightness(24)

    network = build(DISCS, 1, Train())
    both = (bind("companion", "brightness"), bind("companion", "again"))
    with pytest.raises(SettingError, match="both give 'brightness'"):
        accompany(network, both, DISCS, 1)


def test_half_precision_scales_one_optimiser_only() -> None:
    from curette.learn.train import _optimisers

    network = accompany(build(DISCS, 1, Train()), _company().companions, DISCS, 1)
    with pytest.raises(SettingError, match=r"train\.precision"):
        _optimisers(network, Train(precision="16-mixed"))
    optimisers, whose = _optimisers(network, Train(precision="32-true"))
    counts = [sum(p.numel() for g in one.param_groups for p in g["params"]) for one in optimisers]
    assert counts == [sum(p.numel() for p in network.network.parameters()), 25]
    assert whose[0] is None
    assert whose[1] is not None


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", ["learning_loss", "accuracy_predictor", "structure_boundary"])
def test_a_companion_for_another_task_is_refused_with_a_way_out(name: str, dims: int, kind: str) -> None:
    task = Task(kind=kind, dims=dims, classes={"no": 0, "yes": 1})  # type: ignore[arg-type]
    bound = bind("companion", name)
    if kind in bound.component.info["kinds"] and dims in bound.component.info.get("dims", (2, 3)):
        check([bound], task)
        return
    with pytest.raises(SettingError, match=f"but the task is {dims}D {kind}") as refused:
        check([bound], task)
    for other in re.findall(r"'(\w+)'", str(refused.value).partition("Use ")[2]):
        check([bind("companion", other)], task)
    assert re.search("Use a strategy without it(, or with '[^']+')?", str(refused.value))
