"""Networks by name. Each is a function of kind ``model`` that builds one for a task: ``(task, channels) -> module``.

What the rest relies on: ``forward(x)`` maps images [B, channels, *S] of any size to logits [B, C, *S] (segmentation) or
[B, C] (classification), and the attribute ``deepest`` is the submodule whose output is the features of the deepest
encoder level [B, d, *s]. A network meant for the passes ``dropout`` has at least one dropout layer. Where the class
logits come straight from a layer with a bias, the attribute ``head`` is that layer, and training starts with its bias at
the logarithm of the class frequencies. The attribute ``levels`` is a tuple of the submodules whose outputs are the features
of the encoder's levels, from the finest to `deepest`, for companions; without it, they see the deepest alone.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING

from curette.errors import SettingError
from curette.recipe import Train
from curette.registry import Component, bind, components
from curette.task import Task

if TYPE_CHECKING:
    from torch.nn import Module

_BUILT_IN = ("unet", "monai", "cnn", "resnet", "papers")


def models() -> dict[str, Component]:
    """All networks by name. This imports torch."""
    for name in _BUILT_IN:
        importlib.import_module(f"{__name__}.{name}")
    return components("model")


def build(task: Task, channels: int, settings: Train, *, pretrained: bool = True) -> Module:
    """Build the network that `settings.model` names, with fresh random weights from torch's global generator.

    With ``pretrained=False`` the network's option of that name is passed over: for whoever puts weights in anyway.
    Raises `SettingError` for an unknown name or option, and for a network that does not fit the kind of task;
    `DataError` for pretrained weights that cannot be had.
    """
    models()
    bound = bind("model", settings.model, **settings.options)
    if not pretrained and "pretrained" in bound.options:
        left = {k: v for k, v in bound.options.items() if k != "pretrained"}
        if "normalise" in bound.component.options:  # what the weights decided stays decided
            from curette.learn.models.pretrained import normalisation

            said = left.get("normalise", bound.component.options["normalise"].default)
            left["normalise"] = normalisation(bound.options["pretrained"], said)
        bound = replace(bound, options=left)
    kinds = bound.component.info.get("kinds", (task.kind,))
    if task.kind not in kinds:
        fitting = sorted(n for n, c in components("model").items() if task.kind in c.info.get("kinds", ()))
        raise SettingError(
            f"The network '{settings.model}' is for {' and '.join(kinds)}, but the task is {task.kind}. "
            f"Set train.model to one of: {', '.join(fitting)}."
        )
    network: Module = bound(task, channels)
    if not hasattr(network, "deepest"):
        raise SettingError(
            f"The network '{settings.model}' has no attribute 'deepest' (the submodule with the deepest encoder features)."
        )
    return network


def parameters(component: Component, dims: int) -> int | None:
    """How many weights a network has for one channel and two classes, without making them.

    None where it cannot be told: the network is not for these dimensions, or cannot be built without memory.
    """
    import torch

    kind = next(iter(component.info.get("kinds", ("segmentation",))))
    task = Task.model_validate({"kind": kind, "dims": dims, "classes": {"background": 0, "foreground": 1}})
    try:
        with torch.device("meta"):
            network: Module = component.function(task, 1)
    except (SettingError, RuntimeError, TypeError, ValueError):
        return None
    return sum(p.numel() for p in network.parameters())
