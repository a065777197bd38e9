"""The memory layout of images and weights, which decides how fast convolutions run."""

from __future__ import annotations

import torch
from torch import Tensor

_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def memory_format(images: Tensor) -> torch.memory_format:
    """Channels last, the order in which convolutions run fastest on CPUs and tensor cores."""
    return _LAST.get(images.ndim, torch.preserve_format)


def layout(images: Tensor) -> Tensor:
    """Return the images in the layout that `memory_format` names."""
    wanted = memory_format(images)
    if images.ndim == 5 and images.shape[1] == 1:
        # One channel has both layouts at once, and PyTorch then goes on in the slower one: the strides have to say it.
        return torch.empty_like(images, memory_format=wanted).copy_(images)
    return images.contiguous(memory_format=wanted) if images.ndim in _LAST else images
