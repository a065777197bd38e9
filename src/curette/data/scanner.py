"""A made-up scanner: from a map of tissues to an image with overlapping intensities and, in some patients, artefacts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from curette.data import anatomy

BRIGHTNESS = {
    anatomy.AIR: 0.05,
    anatomy.BODY: 0.46,
    anatomy.CORTEX: 0.64,
    anatomy.MEDULLA: 0.44,
    anatomy.NODULE: 0.98,
    anatomy.NEIGHBOUR: 0.60,
    anatomy.VESSEL: 0.76,
}

SECOND = {
    anatomy.AIR: 0.05,
    anatomy.BODY: 0.62,
    anatomy.CORTEX: 0.42,
    anatomy.MEDULLA: 0.70,
    anatomy.NODULE: 0.48,
    anatomy.NEIGHBOUR: 0.55,
    anatomy.VESSEL: 0.20,
}  # another weighting of the same tissues: it tells cortex from medulla, and hides the nodule in the cortex

Image = NDArray[np.float32]


def scan(
    rng: np.random.Generator, tissues: NDArray[np.uint8], brightness: Mapping[int, float] = BRIGHTNESS
) -> Image:
    """Return an image [X, Y, Z] of the tissues, in arbitrary units with a gain of its own for each scan.

    `brightness` is the weighting, one level a tissue.

    Every scan has texture, partial volumes and Rician noise; about a third each are noisier, have a strong bias field,
    or motion ghosts.
    """
    levels = np.array([brightness[code] for code in range(len(brightness))], np.float32)
    levels += rng.normal(0, 0.03, levels.shape).astype(np.float32) * (levels > 0.1)
    noisy, biased, moved = rng.random(3) < 1 / 3

    image = levels[tissues] + _texture(rng, tissues.shape, 0.035) * (tissues != anatomy.AIR)
    image = ndimage.gaussian_filter(image, (0.7, 0.7, 0.5))
    image *= _bias(rng, tissues.shape, 0.40 if biased else 0.08)
    if moved:
        image = _ghosts(rng, image)
    image = _rician(rng, image, 0.05 if noisy else 0.02)
    return (image * rng.uniform(600, 1400)).astype(np.float32)


def _texture(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> Image:
    grain = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), 1.5)
    texture: Image = grain * np.float32(spread / grain.std())
    return texture


def _bias(rng: np.random.Generator, shape: tuple[int, ...], strength: float) -> Image:
    """A receive coil's sensitivity: the exponential of a random quadratic."""
    ticks = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    terms = [*ticks, ticks[0] * ticks[1], ticks[0] ** 2, ticks[1] ** 2]
    slopes = rng.normal(0, 1, len(terms))
    slopes *= strength / np.linalg.norm(slopes)
    exponent: Image = np.tensordot(slopes.astype(np.float32), np.stack(terms), 1)
    field: Image = np.exp(exponent)
    return field


def _ghosts(rng: np.random.Generator, image: Image) -> Image:
    """Copies shifted along the phase-encoding (second) axis, stronger in some slices than in others."""
    reach = int(rng.integers(4, max(5, image.shape[1] // 3)))
    strength = np.float32(0.25) * rng.random(image.shape[2], np.float32)
    ghost = 0.5 * (np.roll(image, reach, axis=1) + np.roll(image, -reach, axis=1))
    blurred = ndimage.gaussian_filter(image, (0, 1.0, 0))
    mixed: Image = (1 - strength) * blurred + strength * ghost
    return mixed


def _rician(rng: np.random.Generator, image: Image, spread: float) -> Image:
    """Magnitude of a complex signal with normal noise in both parts, as in MR."""
    real, imaginary = rng.normal(0, spread, (2, *image.shape)).astype(np.float32)
    magnitude: Image = np.hypot(image + real, imaginary)
    return magnitude
