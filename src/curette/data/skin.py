"""Made-up photographs of skin: one pigmented lesion each, with what dermoscopic pictures have besides.

Shapes are functions of coordinates from -1 to 1 along the shorter side, so that any picture size shows the same lesion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

FAIR, DARK = np.array([0.93, 0.78, 0.70]), np.array([0.58, 0.41, 0.32])
PIGMENTS = np.array([[0.36, 0.20, 0.13], [0.48, 0.29, 0.18], [0.27, 0.15, 0.11]])
PATCHES = np.array([[0.10, 0.08, 0.09], [0.35, 0.38, 0.47], [0.62, 0.25, 0.22], [0.80, 0.70, 0.66]])


@dataclass(frozen=True)
class Outline:
    """A closed curve around `centre`: an ellipse of `radii`, turned by `angle`, whose rim waves.

    The rim moves by ``amplitude[k] * cos((k + 2) * bearing + phase[k])`` of the radius.
    """

    centre: NDArray[np.float64]
    radii: NDArray[np.float64]
    angle: float
    amplitude: NDArray[np.float64]
    phase: NDArray[np.float64]

    def distance(self, x: Image, y: Image) -> Image:
        """Distance from the centre in units of the radius in that direction: below 1 is inside."""
        right, down = x - self.centre[0], y - self.centre[1]
        along = (right * np.cos(self.angle) + down * np.sin(self.angle)) / self.radii[0]
        across = (down * np.cos(self.angle) - right * np.sin(self.angle)) / self.radii[1]
        bearing, rim = np.arctan2(across, along), np.ones(x.shape)
        for k, (amplitude, phase) in enumerate(zip(self.amplitude, self.phase, strict=True), 2):
            rim += amplitude * np.cos(k * bearing + phase)
        distance: Image = (np.hypot(along, across) / rim).astype(np.float32)
        return distance


def photograph(
    rng: np.random.Generator, size: tuple[int, int], *, malignant: bool
) -> tuple[NDArray[np.uint8], Mask]:
    """Draw one picture [3, H, W] (red, green, blue; 0 to 255) and where its lesion is [H, W].

    Malignant lesions are larger, less regular and of more colours on average, yet each of these overlaps with benign
    ones. About a third of the pictures have hardly any contrast, a third have hairs, a quarter a dark frame; freckles
    look like small lesions and are none.
    """
    x, y = _axes(size)
    grain = rng.spawn(1)[
        0
    ]  # what has a value a pixel draws from here, so that all else is the same for any size
    skin = FAIR + (DARK - FAIR) * rng.beta(1.2, 2.0)
    image = np.broadcast_to(skin[:, None, None], (3, *size)).astype(np.float32)
    image *= 1 + _texture(grain, size, 0.035)
    outline = _outline(rng, malignant=malignant)
    distance = outline.distance(x, y)
    softness = rng.uniform(0.02, 0.16)
    cover = 1 / (1 + np.exp(np.clip((distance - 1) / softness, -30, 30)))
    contrast = rng.uniform(0.20, 0.38) if rng.random() < 1 / 3 else rng.uniform(0.40, 0.90)
    for freckle in _freckles(rng, outline, x, y):
        image += 0.35 * freckle * (PIGMENTS[1][:, None, None] - image)
    pigment = _pigment(rng, outline, x, y, malignant=malignant) * (1 + _texture(grain, size, 0.08))
    image += (contrast * cover) * (pigment - image)
    if rng.random() < 1 / 3:
        image = _hairs(rng, image, x, y)
    image *= 1 + rng.normal(0, 0.10) * x + rng.normal(0, 0.10) * y
    if rng.random() < 1 / 4:
        edge = rng.uniform(1.0, 1.25)
        image *= 1 / (1 + np.exp(np.clip((np.hypot(x, y) - edge) / 0.04, -30, 30)))
    image += grain.normal(0, rng.uniform(0.008, 0.03), image.shape)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8), distance < 1


def _outline(rng: np.random.Generator, *, malignant: bool) -> Outline:
    radius = rng.uniform(0.22, 0.56) + 0.10 * malignant
    flat = rng.uniform(0.65, 1.0)
    ragged = rng.uniform(0.02, 0.07) + rng.uniform(0.0, 0.08) * malignant
    reach = max(0.0, 0.80 - radius)  # so that most lesions lie in the picture as a whole
    return Outline(
        rng.uniform(-reach, reach, 2),
        radius * np.array([1.0, flat]),
        rng.uniform(0, np.pi),
        ragged * rng.normal(0, 1, 5).clip(-2, 2) / np.sqrt(np.arange(2, 7) / 2),
        rng.uniform(0, 2 * np.pi, 5),
    )


def _pigment(rng: np.random.Generator, outline: Outline, x: Image, y: Image, *, malignant: bool) -> Image:
    """The lesion's own colours [3, H, W]: one brown, darker or lighter patches, and blue, red or black in malignant ones."""
    colour = PIGMENTS[rng.integers(len(PIGMENTS))] * rng.uniform(0.85, 1.25)
    out = np.broadcast_to(colour[:, None, None], (3, *x.shape)).astype(np.float32)
    others = rng.integers(1, 4) if malignant else rng.integers(0, 2)
    choice: Sequence[NDArray[np.float64]] = [
        *PIGMENTS[rng.integers(len(PIGMENTS), size=2)],
        *PATCHES[rng.integers(len(PATCHES), size=others)],
    ]
    for shade in choice:
        bearing, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8)
        middle = outline.centre + away * outline.radii * [np.cos(bearing), np.sin(bearing)]
        width = rng.uniform(0.25, 0.5) * outline.radii.mean()
        patch = np.exp(-0.5 * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / width**2)
        out += (0.8 * patch) * (shade[:, None, None] - out)
    return out


def _freckles(rng: np.random.Generator, outline: Outline, x: Image, y: Image) -> list[Image]:
    """Small round spots outside the lesion, 0 to 1 [H, W]."""
    spots = []
    for _ in range(int(rng.integers(0, 6))):
        place, radius = rng.uniform(-0.95, 0.95, 2), rng.uniform(0.03, 0.09)
        clear = outline.distance(*(np.full((1, 1), p, np.float32) for p in place))[0, 0] > 1.4
        away = np.hypot(x - place[0], y - place[1])
        spots.append(clear / (1 + np.exp(np.clip((away - radius) / 0.02, -30, 30))))
    return spots


def _hairs(rng: np.random.Generator, image: Image, x: Image, y: Image) -> Image:
    """Dark bent lines across the picture, over skin and lesion alike."""
    colour = rng.uniform(0.05, 0.25) * np.array([1.1, 0.9, 0.8])
    for _ in range(int(rng.integers(3, 10))):
        angle, shift, bend = rng.uniform(0, np.pi), rng.uniform(-0.9, 0.9), rng.normal(0, 0.25)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        away = np.abs(across - shift - bend * along**2)
        # never thinner than the pixels can show, so that hairs do not break up in small pictures
        width = max(rng.uniform(0.008, 0.02), 0.8 / min(x.shape))
        image = image + (0.85 * np.exp(-0.5 * (away / width) ** 2)) * (colour[:, None, None] - image)
    return image


def _texture(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> Image:
    grain = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), max(1.0, min(shape) / 40))
    texture: Image = grain * np.float32(spread / grain.std())
    return texture


def _axes(size: tuple[int, int]) -> tuple[Image, Image]:
    """Coordinates to the right and down [H, W]; the shorter side runs from -1 to 1."""
    down, right = (((np.arange(n, dtype=np.float32) + 0.5) * 2 - n) / min(size) for n in size)
    y, x = np.meshgrid(down, right, indexing="ij")
    return x.astype(np.float32), y.astype(np.float32)
