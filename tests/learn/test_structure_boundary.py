"""SBC-AL's companion: shapes on every backbone, where gradients go, what it learns, what does not touch it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from toys import DISCS, Pictures, learner

from curette.data.datasets import open_dataset
from curette.data.prepare import prepare
from curette.data.splits import split_patients
from curette.errors import SettingError
from curette.learn.companions.contract import Accompanied, accompany
from curette.learn.distance import inner_distances
from curette.learn.learner import Assignment
from curette.learn.models import build
from curette.learn.progress import Clock
from curette.learn.torch_learner import TorchLearner
from curette.query.scorers.consistency import structure_score
from curette.recipe import Data, Prepare, Split, Train
from curette.registry import bind
from curette.task import Task

SOLID = Task(kind="segmentation", dims=3, classes={"background": 0, "organ": 1})
NETWORKS = {
    "unet": {"widths": [8, 12, 16]},
    "basic_unet": {"features": [8, 8, 8, 16, 16, 8]},
    "stochastic_batches_unet": {"widths": [8, 8, 16, 16]},
    "resnet18_unet": {},
    "unet_plus_plus": {"features": [8, 8, 8, 16, 16, 8]},
    "attention_unet": {"widths": [8, 8, 8, 16, 16]},
}
CLOCK = Clock(0, 1)
HIPPOCAMPUS = Path(os.environ.get("CURETTE_DATA", "")) / "Task04_Hippocampus"


def made(model: str = "unet", task: Task = DISCS, channels: int = 1, **options: object) -> Accompanied:
    torch.manual_seed(0)
    settings = Train(model=model, options=NETWORKS[model])
    network = build(task, channels, settings)
    found = accompany(network, [bind("companion", "structure_boundary", **options)], task, channels)
    assert isinstance(found, Accompanied)
    found.keep = True
    return found


def batch(*size: int, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, classes, (2, *size), generator=generator)
    return torch.randn(2, 1, *size, generator=generator), labels


@pytest.mark.parametrize("size", [(32, 48), (21, 37)])
@pytest.mark.parametrize("model", NETWORKS)
def test_maps_have_the_size_of_the_image_on_every_backbone(model: str, size: tuple[int, int]) -> None:
    network = made(model)
    images, labels = batch(*size)
    said = network(images)
    assert said.shape == (2, 3, *size)
    (term,) = network.losses(labels, CLOCK)
    (term + torch.nn.functional.cross_entropy(said, labels)).backward()
    weights = [(n, p) for n, p in network.named_parameters() if p.ndim > 1]  # a norm may undo a bias
    still = [name for name, p in weights if p.grad is None or not p.grad.any()]
    assert not still
    network.eval()
    with torch.inference_mode():
        network(images)
        outputs = network.outputs()
    assert {name: tuple(o.shape) for name, o in outputs.items()} == dict.fromkeys(
        ("distances", "structure", "coarse"), (2, 3, *size)
    )
    assert (outputs["distances"] >= 0).all()
    assert network.head is network.companions["structure_boundary"].head


def test_volumes_too() -> None:
    network = made(task=SOLID)
    images, labels = batch(9, 10, 12, classes=2)
    assert network(images).shape == (2, 2, 9, 10, 12)
    (term,) = network.losses(labels, CLOCK)
    assert torch.isfinite(term)


@pytest.mark.parametrize("refine", ["attention", "add", "concat"])
def test_the_loss_of_what_is_said_reaches_both_branches_and_the_network(refine: str) -> None:
    network = made(refine=refine)
    network(batch(16, 20)[0]).square().mean().backward()
    parts = (
        "network.stem",
        "companions.structure_boundary.branch.",
        "companions.structure_boundary.refinement.",
    )
    for part in parts:
        found = [p.grad for n, p in network.named_parameters() if n.startswith(part)]
        assert found
        assert all(g is not None and g.any() for g in found), part
    own_head = dict(network.named_parameters())["network.head.weight"]
    assert own_head.grad is None  # which only the coarse term trains


def test_without_refinement_the_network_has_the_last_word() -> None:
    network = made(refine="none").eval()
    images, labels = batch(16, 20)
    torch.testing.assert_close(network(images), network.network(images))
    assert network.head is network.network.head
    network(images)
    (term,) = network.losses(labels, CLOCK)
    (twice,) = (network(images), network.losses(labels, CLOCK))[1]
    torch.testing.assert_close(term, twice)


def test_the_terms_are_those_of_the_paper() -> None:
    images, labels = batch(16, 20)
    terms = {}
    for name, weights in {"both": (1.0, 1.0), "coarse": (1.0, 0.0), "distance": (0.0, 1.0)}.items():
        network = made(coarse=weights[0], distance=weights[1]).eval()
        network(images)
        (terms[name],) = network.losses(labels, CLOCK)
    torch.testing.assert_close(terms["both"], terms["coarse"] + terms["distance"])
    own = network.network(images)
    torch.testing.assert_close(terms["coarse"], torch.nn.functional.cross_entropy(own, labels))
    network(images)
    maps = network._last[0].notes["structure_boundary maps"]
    torch.testing.assert_close(terms["distance"], (maps - inner_distances(labels, 3)).square().mean())


def test_ignored_voxels_touch_nothing() -> None:
    images, labels = batch(16, 20)
    labels[:, :, 10:] = DISCS.ignore
    network = made().eval()  # batch norm would look at all voxels
    said = network(images)
    seen = network._last[0]
    maps = seen.notes["structure_boundary maps"]
    (term,) = network.losses(labels, CLOCK)
    grads = torch.autograd.grad(term, [maps, seen.logits])
    for grad in grads:
        assert grad[..., :10].any()
        assert not grad[..., 10:].any()
    network(images)
    (nothing,) = network.losses(torch.full_like(labels, DISCS.ignore), CLOCK)
    assert nothing == 0
    assert said.shape == (2, 3, 16, 20)


def test_the_branch_has_its_own_learning_rate() -> None:
    companion = made(sfp_rate=0.01).companions["structure_boundary"]
    settings = Train(lr=0.02, optimiser="sgd(momentum=0.8)")
    own = companion.optimiser(settings)
    assert isinstance(own, torch.optim.SGD)
    assert own.param_groups[0]["lr"] == pytest.approx(0.0002)
    assert own.param_groups[0]["momentum"] == 0.8
    held = {id(p) for p in own.param_groups[0]["params"]}
    assert held == {id(p) for p in companion.branch.parameters()}
    assert made().companions["structure_boundary"].optimiser(settings) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"refine": "multiply"}, "refine"),
        ({"distances": "mm"}, "distances"),
        ({"zero": "inside"}, "zero"),
        ({"blocks": 0}, "blocks is 0"),
        ({"sfp_rate": 0.0}, "sfp_rate is 0"),
        ({"coarse": -1.0}, "coarse is -1"),
    ],
)
def test_impossible_options_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        made(**options)


def test_a_network_without_a_plain_head_is_refused() -> None:
    task = DISCS
    network = build(task, 1, Train(model="monai_unet", options={"widths": [8, 8, 16]}))
    with pytest.raises(SettingError, match="does not end in a plain head"):
        accompany(network, [bind("companion", "structure_boundary")], task, 1)


def test_in_the_real_loop_the_maps_are_learnt_and_the_model_is_kept(tmp_path: Path) -> None:
    pictures = Pictures(DISCS, 16)
    labels = {r: pictures.labels[r] for r in pictures.regions}
    along = Assignment(companions=(bind("companion", "structure_boundary", sfp_rate=0.5),))
    taught = learner(pictures, steps=80)
    model = taught.fit(labels, seed=0, assignment=along)
    truth = torch.from_numpy(np.stack([labels[r] for r in pictures.regions]))
    target = inner_distances(truth, 3)

    def apart(network: torch.nn.Module) -> float:
        assert isinstance(network, Accompanied)
        network.keep = True
        with torch.inference_mode():
            network(torch.from_numpy(pictures.batch(pictures.regions)[0]))
            found = network.outputs()["distances"]
        network.keep = False
        return float((found - target).square().mean())

    mean = float((target - target.mean((0, 2, 3), keepdim=True)).square().mean())
    assert apart(model.networks[0]) < 0.7 * mean
    taught.save(model, tmp_path / "model.pt")
    again = taught.load(tmp_path / "model.pt")
    needs = frozenset({"structure_inconsistency", "boundary_inconsistency"})
    single = bind("passes", "single")
    asked = [list(taught.predict(m, pictures.regions, single, needs, seed=0)) for m in (model, again)]
    for one, other in zip(*asked, strict=True):
        assert one.columns["structure_inconsistency"].shape[1:] == (1, 3, 7)
        assert one.columns["boundary_inconsistency"].shape[1:] == (1, 2)
        for name in needs:
            torch.testing.assert_close(one.columns[name], other.columns[name])


@pytest.mark.slow
@pytest.mark.skipif(not HIPPOCAMPUS.is_dir(), reason="set CURETTE_DATA to where Task04_Hippocampus is")
def test_on_real_slices_of_others_structure_follows_the_error() -> None:
    data = Data(dataset="msd", root=HIPPOCAMPUS, unit="slice")
    dataset = open_dataset(data)
    prepared = prepare(dataset, data, Prepare())
    splits = split_patients(prepared.kept(dataset), Split(train=200, val=10, test=50))
    pool, held = prepared.regions(splits.train)[::60], prepared.regions(splits.test)[::8]
    settings = Train(steps=120, lr=3e-3, options={"widths": [8, 16, 32, 64]}, precision="32-true")
    taught = TorchLearner(prepared.unit_task, prepared, settings, channels=prepared.channels, batch=64)
    along = Assignment(companions=(bind("companion", "structure_boundary"),))
    model = taught.fit(prepared.labels(pool), seed=0, assignment=along)
    needs = frozenset({"structure_inconsistency"})
    truth, scores, errors = prepared.labels(held), [], []
    for found in taught.predict(model, held, bind("passes", "single"), needs, seed=0):
        facts = found.columns["structure_inconsistency"].double().numpy()[:, 0]
        how = {"angle": 0.6, "cosine": "scale_free", "dice": "printed", "distances": "normalised"}
        scores.append(structure_score(facts, **how))
        classes = found.mean.argmax(1).numpy()
        errors += [np.mean(c != truth[r]) for c, r in zip(classes, found.regions, strict=True)]
    assert spearmanr(np.concatenate(scores), errors)[0] > 0.3
