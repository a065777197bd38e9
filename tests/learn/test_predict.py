"""The sweep: its sums equal what one would compute from all passes at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from curette import registry
from curette.errors import SettingError
from curette.learn.fuse import fused
from curette.learn.layout import layout
from curette.learn.passes import count
from curette.learn.predict import groups
from curette.learn.prediction import NEEDS
from curette.learn.slabs import Slab
from curette.learn.stacked import stacked
from curette.learn.sums import Sums, one_vote
from curette.learn.torch_learner import TorchModel
from curette.query.strategy import parse_strategy
from curette.region import Region
from curette.registry import bind, register
from learn.toys import BLOBS, DISCS, Pictures, learner

_single = bind("passes", "single")


@given(
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(2, 5),
    st.sampled_from([(), (4,), (3, 2), (2, 2, 2)]),
    st.integers(0, 999),
)
def test_sums_equal_those_of_stacked_passes(
    passes: int, batch: int, classes: int, space: tuple[int, ...], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    stack = 5 * torch.randn(passes, batch, classes, *space, generator=generator)
    features = torch.randn(passes, batch, 3, *space, generator=generator)
    sums = Sums(NEEDS, features[0], None)
    for logits, deep in zip(stack, features, strict=True):
        sums.add(Slab(logits))
        sums.embed(deep)
    found = sums.prediction([], _single)
    p = stack.double().softmax(2)
    votes = nn.functional.one_hot(p.argmax(2), classes).movedim(-1, 2).double()
    expected = {
        "mean": p,
        "member_entropy": torch.special.entr(p).sum(2),
        "second_moment": p**2,
        "votes": votes,
        "logits": stack.double(),
        "embedding": features.double().flatten(3).mean(3) if space else features.double(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(getattr(found, name).double(), value.mean(0), atol=1e-5, rtol=1e-4)
    assert found.passes == passes


def test_certain_predictions_keep_a_finite_entropy() -> None:
    sums = Sums(frozenset({"member_entropy"}), torch.empty(2, 1), None)
    sums.add(Slab(torch.tensor([[1000.0, -1000.0], [0.0, -50.0]])))
    entropy = sums.prediction([], _single).member_entropy
    assert torch.isfinite(entropy).all()
    assert 0 < entropy[1] < 1e-18


def test_equal_classes_give_one_vote_to_the_first() -> None:
    votes = one_vote(torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0], [3.0, 3.0, 3.0]]))
    assert votes.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]


@pytest.fixture(scope="module")
def trained() -> tuple[Pictures, TorchModel]:
    pictures = Pictures(DISCS, 12)
    maker = learner(pictures, steps=10)
    return pictures, maker.fit({r: pictures.labels[r] for r in pictures.regions[:4]}, seed=1, members=2)


@pytest.mark.parametrize("needs", [frozenset(), frozenset({"votes"}), NEEDS])
def test_only_what_was_asked_for_is_there(
    trained: tuple[Pictures, TorchModel], needs: frozenset[str]
) -> None:
    pictures, model = trained
    parts = list(learner(pictures, batch=5).predict(model, pictures.regions, _single, needs, seed=0))
    assert [len(p.regions) for p in parts] == [5, 5, 2]
    assert [r for p in parts for r in p.regions] == pictures.regions
    for name in NEEDS - {"mean"}:
        assert (getattr(parts[0], name) is not None) == (name in needs)
    shapes = {
        "mean": (5, 3, 20, 24),
        "votes": (5, 3, 20, 24),
        "member_entropy": (5, 20, 24),
        "embedding": (5, 24),
    }
    for name in needs & shapes.keys():
        assert tuple(getattr(parts[0], name).shape) == shapes[name]
        assert getattr(parts[0], name).dtype == torch.float32


def test_the_mean_of_an_ensemble_is_the_mean_of_its_members(trained: tuple[Pictures, TorchModel]) -> None:
    pictures, model = trained
    asked = learner(pictures, batch=12)
    alone = [
        next(asked.predict(TorchModel((n,), "32-true"), pictures.regions, _single, frozenset(), seed=0)).mean
        for n in model.networks
    ]
    both = next(asked.predict(model, pictures.regions, bind("passes", "ensemble", 2), frozenset(), seed=0))
    torch.testing.assert_close(both.mean, (alone[0] + alone[1]) / 2)
    assert not torch.allclose(alone[0], alone[1])
    assert both.passes == 2
    with pytest.raises(SettingError, match="need 3 networks, but the model holds 2"):
        next(asked.predict(model, pictures.regions, bind("passes", "ensemble", 3), frozenset(), seed=0))


def test_passes_that_do_not_differ_are_found_out(trained: tuple[Pictures, TorchModel]) -> None:
    pictures, model = trained

    class Deaf(nn.Module):
        """Has a dropout layer, and does not use it."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network, self.drop = network, nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x)  # type: ignore[no-any-return]

    without = learner(pictures, options={"widths": [8, 16, 24], "dropout": 0.0}, steps=1)
    inner = without.fit({pictures.regions[0]: pictures.labels[pictures.regions[0]]}, seed=0).networks[0]
    deaf = TorchModel((Deaf(inner).eval(),), "32-true")
    asked = learner(pictures)
    with pytest.raises(SettingError, match="same logits every time"):
        next(asked.predict(deaf, pictures.regions, bind("passes", "dropout", 3), frozenset(), seed=0))
    list(asked.predict(model, pictures.regions, bind("passes", "dropout", 3), frozenset(), seed=0))


def test_a_sweep_repeats_with_its_seed_and_depends_on_it(trained: tuple[Pictures, TorchModel]) -> None:
    pictures, model = trained
    asked, drops = learner(pictures), bind("passes", "dropout", 3)

    def means(seed: int) -> Tensor:
        return torch.cat(
            [p.mean for p in asked.predict(model, pictures.regions, drops, frozenset(), seed=seed)]
        )

    assert torch.equal(means(1), means(1))
    assert not torch.equal(means(1), means(2))


@pytest.mark.parametrize("text", ["dropout", "flips"])
def test_distances_from_the_mean_are_those_of_the_same_passes(
    trained: tuple[Pictures, TorchModel], text: str
) -> None:
    """The second round sees what the first saw, random passes included, and leaves the embeddings alone."""
    pictures, model = trained
    asked, needs = learner(pictures, batch=12), frozenset({"deviation", "soft_dice", "embedding"})
    passes = bind("passes", text, 3)
    found = next(asked.predict(model, pictures.regions, passes, needs, seed=4))
    once = next(asked.predict(model, pictures.regions, passes, frozenset({"embedding"}), seed=4))
    torch.testing.assert_close(found.embedding, once.embedding)
    networks = [fused(network) for network in model.networks]
    x = layout(torch.from_numpy(pictures.batch(pictures.regions)[0]))
    with torch.inference_mode():
        logits = list(passes(networks, x, torch.Generator().manual_seed(4)))
    p = torch.stack(logits).softmax(2)
    torch.testing.assert_close(found.deviation, (p - p.mean(0)).abs().mean(0), atol=1e-5, rtol=1e-3)
    expected = stacked(pictures.regions, p.movedim(0, 1)).soft_dice
    torch.testing.assert_close(found.soft_dice, expected, atol=1e-5, rtol=1e-3)
    assert found.deviation.max() > 1e-3


@pytest.mark.parametrize("text", ["flips(6)", "rotations(8)", "windows(augment(2), size=16, stride=12)"])
def test_views_of_images_that_are_not_square(trained: tuple[Pictures, TorchModel], text: str) -> None:
    pictures, model = trained
    passes = parse_strategy(f"{text} > entropy > top").passes
    needs = NEEDS - {"feature_map"}
    for found in learner(pictures, batch=6).predict(model, pictures.regions, passes, needs, seed=0):
        assert tuple(found.mean.shape) == (6, 3, 20, 24)
        torch.testing.assert_close(found.mean.sum(1), torch.ones_like(found.mean[:, 0]))
        assert found.embedding.shape == (6, 24)
        assert found.passes == count(passes)


def test_what_a_view_cannot_see_is_not_valid(trained: tuple[Pictures, TorchModel]) -> None:
    pictures, model = trained
    passes = bind("passes", "augment", 4, rotate=45)
    for found in learner(pictures, batch=5).predict(model, pictures.regions, passes, NEEDS, seed=0):
        assert found.valid is not None
        assert found.valid[:, 8:12, 10:14].all()
        assert not found.valid[:, 0, 0].all()
        torch.testing.assert_close(found.mean.sum(1), torch.ones_like(found.mean[:, 0]))


def test_an_unknown_need_is_refused(trained: tuple[Pictures, TorchModel]) -> None:
    pictures, model = trained
    with pytest.raises(SettingError, match="vote"):
        next(learner(pictures).predict(model, pictures.regions, _single, frozenset({"vote"}), seed=0))


def test_own_passes_are_used_like_the_built_in_ones(
    trained: tuple[Pictures, TorchModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, model = trained
    monkeypatch.setattr(registry, "_components", dict(registry._components))

    @register("passes", "twice")
    def twice(networks, images, generator):  # type: ignore[no-untyped-def]
        """The same pass two times."""
        yield networks[0](images)
        yield networks[0](images)

    asked = learner(pictures)
    one = next(asked.predict(model, pictures.regions, _single, NEEDS, seed=0))
    two = next(asked.predict(model, pictures.regions, bind("passes", "twice"), NEEDS, seed=0))
    for name in NEEDS:
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-6)
    assert two.passes == 2


def test_classification_has_the_same_fields_without_space() -> None:
    pictures = Pictures(BLOBS, 4)
    maker = learner(pictures, steps=2)
    model = maker.fit(pictures.labels, seed=0)
    found = next(maker.predict(model, pictures.regions, bind("passes", "flips"), NEEDS, seed=0))
    assert tuple(found.mean.shape) == tuple(found.votes.shape) == (4, 2)
    assert tuple(found.member_entropy.shape) == (4,)
    assert found.embedding.shape[0] == 4


def test_only_units_of_one_shape_share_a_pass() -> None:
    shapes = [(9, 8), (9, 8), (9, 8), (7, 8), (9, 8)]
    regions = [Region(f"u{i}") for i in range(len(shapes))]

    class Units:
        def batch(self, regions: object) -> tuple[np.ndarray, None]:
            raise AssertionError("nothing is read to group units")

        def unit_shape(self, unit: Region) -> tuple[int, ...]:
            return shapes[regions.index(unit)]

    found = list(groups(Units(), regions, 2))
    assert [[regions.index(r) for r in group] for group in found] == [[0, 1], [2], [3], [4]]


def test_reading_two_predictions_in_turn_leaves_the_grad_mode_alone() -> None:
    pictures = Pictures(DISCS, 6)
    learned = learner(pictures, batch=2, steps=1)
    model = learned.fit(pictures.labels, seed=0)
    passes, needs = bind("passes", "single"), frozenset({"mean"})
    one, other = (learned.predict(model, pictures.regions, passes, needs, seed=0) for _ in range(2))
    for _ in zip(one, other, strict=True):
        assert not torch.is_inference_mode_enabled()
    assert not torch.is_inference_mode_enabled()
