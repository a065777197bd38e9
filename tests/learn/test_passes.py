"""Passes: what they yield, what they leave alone, and that they differ."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from curette.errors import SettingError
from curette.learn.passes import members
from curette.registry import bind


class _Dropping(nn.Module):
    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.drop = nn.Dropout2d(p)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.norm(self.conv(x))))  # type: ignore[no-any-return]


def _run(name: str, networks: list[nn.Module], x: Tensor, *args: int, seed: int = 0) -> list[Tensor]:
    with torch.inference_mode():
        return list(bind("passes", name, *args)(networks, x, torch.Generator().manual_seed(seed)))


def test_dropout_passes_differ_and_repeat_with_the_seed() -> None:
    network = _Dropping().eval()
    x = torch.randn(2, 1, 6, 6)
    first, again = (_run("dropout", [network], x, 4, seed=3) for _ in range(2))
    assert len(first) == 4
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.stack(first).std(0).max() > 0
    assert not torch.equal(first[0], _run("dropout", [network], x, 4, seed=4)[0])


def test_dropout_freezes_batch_norm_and_leaves_the_network_and_the_global_generator_as_they_were() -> None:
    network = _Dropping().eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    state = torch.get_rng_state()
    seen: list[tuple[bool, bool]] = []
    network.head.register_forward_hook(lambda *_: seen.append((network.norm.training, network.drop.training)))
    _run("dropout", [network], 5 + 3 * torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0)), 2)
    assert seen == [(False, True)] * 2
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert not any(layer.training for layer in network.modules())
    assert torch.equal(state, torch.get_rng_state())


def test_dropout_without_active_dropout_says_what_to_do() -> None:
    with pytest.raises(SettingError, match=r"active dropout.*train\.options"):
        _run("dropout", [_Dropping(p=0.0).eval()], torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("layer", [nn.Dropout2d(0.5), nn.Dropout(0.5)], ids=["maps", "pixels"])
def test_consistent_dropout_is_the_same_networks_for_every_image_and_batch(layer: nn.Module) -> None:
    network = _Dropping()
    network.drop = layer
    network.eval()
    x = torch.randn(5, 1, 6, 6)
    x[3] = x[1]
    generator = torch.Generator().manual_seed(3)
    state = torch.get_rng_state()
    with torch.inference_mode():
        passes = bind("passes", "consistent_dropout", 6)
        whole = torch.stack(list(passes([network], x, generator)))
        torch.rand(7, generator=generator)  # whatever else was drawn meanwhile
        late = torch.stack(list(passes([network], x[2:], generator)))
        plain = network(x)
    torch.testing.assert_close(whole[:, 2:], late)
    torch.testing.assert_close(whole[:, 1], whole[:, 3])
    assert whole.std(0).max() > 0
    assert torch.equal(state, torch.get_rng_state())
    assert not network.drop._forward_hooks
    many = torch.stack(_run("consistent_dropout", [network], x[:1], 3000))
    torch.testing.assert_close(many.mean(0), plain[:1], atol=0.1, rtol=0.1)  # masks keep the expectation


def test_consistent_dropout_needs_active_dropout_too() -> None:
    with pytest.raises(SettingError, match="consistent_dropout"):
        _run("consistent_dropout", [_Dropping(p=0.0).eval()], torch.zeros(1, 1, 4, 4))


def test_members() -> None:
    counts = {"none": 0, "single": 1, "flips": 1, "dropout": 1, "ensemble": 5}
    assert {name: members(bind("passes", name)) for name in counts} == counts
    assert members(bind("passes", "ensemble", 3)) == 3
    with pytest.raises(SettingError, match="no pass"):
        members(bind("passes", "dropout", 0))


def test_none_predicts_nothing() -> None:
    with pytest.raises(SettingError, match="single"):
        _run("none", [nn.Identity()], torch.zeros(1, 1, 2, 2))
