import pytest
import torch

from curette.learn.layout import layout, memory_format
from curette.learn.models import build
from curette.recipe import Train
from curette.task import Task


@pytest.mark.parametrize("channels", [1, 2])
def test_volumes_are_laid_out_with_their_channels_last(channels: int) -> None:
    images = torch.randn(2, channels, 4, 5, 6)
    laid = layout(images)
    assert torch.equal(laid, images)
    assert laid.stride() == (channels * 120, 1, channels * 30, channels * 6, channels)
    part = images[:, :, 1:3]
    assert torch.equal(layout(part), part)
    assert layout(part).stride() == (channels * 60, 1, channels * 30, channels * 6, channels)


def test_pictures_are_laid_out_with_their_channels_last_and_vectors_stay() -> None:
    assert layout(torch.randn(2, 3, 4, 5)).stride() == (60, 1, 15, 3)
    vectors = torch.randn(2, 3)
    assert layout(vectors) is vectors


def test_the_3d_unet_keeps_the_layout_at_every_block() -> None:
    """A single operation on mixed layouts costs as much as a convolution."""
    task = Task(kind="segmentation", dims=3, classes={"background": 0, "organ": 1})
    images = layout(torch.randn(2, 1, 8, 12, 8))
    network = build(task, 1, Train()).to(memory_format=memory_format(images)).train()
    mixed: list[str] = []

    def look(name: str) -> object:
        def note(_module: object, inputs: tuple[torch.Tensor, ...], _output: torch.Tensor) -> None:
            if not inputs[0].is_contiguous(memory_format=torch.channels_last_3d):
                mixed.append(name)

        return note

    watched = [(n, m) for n, m in network.named_modules() if n.endswith((".merge", ".skip", ".body", "head"))]
    for name, module in watched:
        module.register_forward_hook(look(name))
    network(images).sum().backward()
    assert len(watched) == 10
    assert mixed == []
