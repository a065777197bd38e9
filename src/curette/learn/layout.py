"""The memory layout of images and weights, which decides how fast convolutions run."""

from __future__ import annotations

import torch
from torch import Tensor


def memory_format(images: Tensor) -> torch.memory_format:
    """Channels last in 2D, the order in which convolutions run fastest on CPUs and tensor cores."""
    return torch.channels_last if images.ndim == 4 else torch.preserve_format


def layout(images: Tensor) -> Tensor:
    """Return the images in the layout that `memory_format` names."""
    return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images
