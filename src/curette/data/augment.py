"""Random changes of a training batch, made on the tensors themselves: every sample has its own draw.

Rotation, scale, shift and flips are one affine map, sampled once for the image (linear) and once for the label (nearest).
Voxels of the label that come from outside the image get the ignore value: nobody annotated what lies there.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from curette.recipe import Augment

_POINTS = 8
"""Control points an axis of an elastic change."""

if TYPE_CHECKING:  # torch is imported when a batch arrives, not when curette.data is
    from torch import Generator, Tensor


def augment(
    images: Tensor, labels: Tensor, settings: Augment, generator: Generator, *, ignore: int
) -> tuple[Tensor, Tensor]:
    """Change float images [B, channels, *S] and, with them, class maps [B, *S]; classes [B] stay as they are.

    All randomness comes from `generator`, which lives on the images' device. The inputs are not altered. Angles are true
    for cubic voxels. Labels keep their integer type, which `ignore` must fit into.
    """
    if (
        settings.rotate
        or settings.scale
        or settings.shift
        or settings.flip
        or settings.quarters
        or settings.elastic
    ):
        images, labels = _warp(images, labels, settings, generator, ignore)
    if settings.brightness or settings.contrast or settings.gamma:
        images = _intensity(images, settings, generator)
    if settings.saturation and images.shape[1] == 3:
        grey = images.mean(1, keepdim=True)
        images = grey + (images - grey) * (1 + settings.saturation * _signed(images, generator))
    if settings.noise:
        images = images + settings.noise * _some(images, settings.noisy, generator) * _normal(
            images, generator
        )
    if settings.salt:
        images = _salted(images, settings.salt, generator)
    return images, labels


def _warp(
    images: Tensor, labels: Tensor, settings: Augment, generator: Generator, ignore: int
) -> tuple[Tensor, Tensor]:
    from torch.nn.functional import affine_grid, grid_sample

    grid = affine_grid(_affine(images, settings, generator), list(images.shape), align_corners=False)
    if settings.elastic:
        grid = grid + _bend(images, settings.elastic, generator)
    moved = grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    if labels.ndim == 1:
        return moved, labels
    # Sampling pads with 0, so shift the labels such that 0 stands for the ignore value.
    shifted = (labels.to(images.dtype) - ignore).unsqueeze(1)
    sampled = grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved, (sampled.squeeze(1) + ignore).to(labels.dtype)


def _affine(images: Tensor, settings: Augment, generator: Generator) -> Tensor:
    """One matrix [B, dims, dims + 1] per sample, from output to input positions in grid_sample's own coordinates."""
    import torch

    count, dims = images.shape[0], images.ndim - 2
    planes = list(combinations(range(dims), 2))
    draw = torch.rand(count, len(planes) + 1 + 2 * dims, generator=generator, device=images.device)
    signed = draw * 2 - 1
    angles = torch.deg2rad(signed[:, : len(planes)] * settings.rotate)
    zoom = (1 + settings.scale) ** signed[:, len(planes)]
    shift = signed[:, len(planes) + 1 : len(planes) + 1 + dims] * (2 * settings.shift)
    if settings.quarters:
        turns = torch.randint(4, (count,), generator=generator, device=images.device)
        # The last plane, as positions have their last axis first: that of the first two axes of the array.
        angles = torch.cat((angles[:, :-1], angles[:, -1:] + turns[:, None] * (torch.pi / 2)), 1)
    matrix = torch.diag_embed(zoom[:, None].expand(count, dims))
    for number, (a, b) in enumerate(planes):
        turn = torch.eye(dims, device=images.device).repeat(count, 1, 1)
        turn[:, a, a] = turn[:, b, b] = angles[:, number].cos()
        turn[:, b, a] = angles[:, number].sin()
        turn[:, a, b] = -turn[:, b, a]
        matrix = matrix @ turn
    # Coordinates run from -1 to 1 along every axis, last axis first: rotate in voxels, then go back.
    extent = torch.tensor(images.shape[:1:-1], dtype=torch.float32, device=images.device)
    matrix = matrix * extent / extent[:, None]
    for axis in settings.flip:
        place = dims - 1 - "xyz".index(axis)
        if place >= 0:
            mirrored = draw[:, draw.shape[1] - 1 - place] < 0.5
            matrix[:, place] = matrix[:, place] * torch.where(mirrored, -1.0, 1.0)[:, None]
    return torch.cat((matrix, shift.unsqueeze(2)), 2)


def _bend(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """A smooth shift of every position [B, *S, dims] in grid_sample's coordinates, nothing for half of the samples."""
    import torch
    from torch.nn.functional import interpolate

    count, dims = images.shape[0], images.ndim - 2
    points = torch.randn(count, dims, *[_POINTS] * dims, generator=generator, device=images.device)
    mode = "bicubic" if dims == 2 else "trilinear"
    smooth = interpolate(points, size=images.shape[2:], mode=mode, align_corners=True)
    some = torch.rand(count, generator=generator, device=images.device) < 0.5
    bent: Tensor = (2 * strength * smooth * some.reshape(-1, *[1] * (dims + 1))).movedim(1, -1)
    return bent


def _salted(images: Tensor, share: float, generator: Generator) -> Tensor:
    import torch

    spatial = tuple(range(1, images.ndim))
    draw = torch.rand(images.shape[0], 1, *images.shape[2:], generator=generator, device=images.device)
    low, high = images.amin(spatial, keepdim=True), images.amax(spatial, keepdim=True)
    return torch.where(draw < share / 2, low, torch.where(draw > 1 - share / 2, high, images))


def _some(images: Tensor, share: float, generator: Generator) -> Tensor | float:
    """1 for that share of the samples, drawn by chance, and 0 for the others."""
    import torch

    if share >= 1:
        return 1.0
    draw = torch.rand(images.shape[0], generator=generator, device=images.device)
    return (draw < share).to(images.dtype).reshape(-1, *[1] * (images.ndim - 1))


def _signed(images: Tensor, generator: Generator) -> Tensor:
    """A number from -1 to 1 for each sample."""
    import torch

    draw = torch.rand(images.shape[0], generator=generator, device=images.device) * 2 - 1
    return draw.reshape(-1, *[1] * (images.ndim - 1))


def _intensity(images: Tensor, settings: Augment, generator: Generator) -> Tensor:
    import torch

    count, spatial = images.shape[0], tuple(range(1, images.ndim))
    draw = torch.rand(count, 3, generator=generator, device=images.device) * 2 - 1
    bright, contrast, gamma = (draw[:, i].reshape(-1, *[1] * (images.ndim - 1)) for i in range(3))
    if settings.gamma:
        low, high = images.amin(spatial, keepdim=True), images.amax(spatial, keepdim=True)
        extent = (high - low).clamp_min(1e-6)
        images = low + extent * ((images - low) / extent) ** (gamma * settings.gamma).exp()
    mean = images.mean(spatial, keepdim=True)
    return mean + (images - mean) * (1 + contrast * settings.contrast) + bright * settings.brightness


def _normal(images: Tensor, generator: Generator) -> Tensor:
    import torch

    return torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
