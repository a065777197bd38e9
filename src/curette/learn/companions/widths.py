"""How many channels the levels of a network's encoder have, for companions that must be made before an image is seen."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

from curette.learn.companions.contract import levels
from curette.task import Task

_SIDE = 64


def widths(network: nn.Module, task: Task, channels: int) -> tuple[int, ...]:
    """Channels of each of the network's levels, from the finest to the deepest.

    A forward pass on the meta device, where nothing is computed and no weight or statistic of the network changes.
    """
    found: dict[int, int] = {}

    def note(number: int, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        found[number] = output.shape[1]

    hooks = [level.register_forward_hook(partial(note, n)) for n, level in enumerate(levels(network))]
    modes = {module: module.training for module in network.modules()}
    shapes = {
        name: value.to("meta") for name, value in (*network.named_parameters(), *network.named_buffers())
    }
    try:
        with torch.no_grad():
            image = torch.zeros(1, channels, *[_SIDE] * task.dims, device="meta")
            functional_call(network.eval(), shapes, (image,))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return tuple(found[n] for n in sorted(found))
