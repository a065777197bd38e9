"""Made-up anatomy: an organ of three touching parts inside a body, with neighbours that look like them.

Shapes are implicit functions on a grid of normalised coordinates (-1 to 1 along each axis), bent by a smooth field, so
that any array size shows the same patient and neighbouring slices differ little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

AIR, BODY, CORTEX, MEDULLA, NODULE, NEIGHBOUR, VESSEL = range(7)

Grid = NDArray[np.float32]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Barrel:
    """Centre and radii [3], the first two axes turned by `angle` (radians)."""

    centre: Vector
    radii: Vector
    angle: float = 0.0

    def distance(self, grid: Grid) -> Grid:
        """Distance from the centre in units of the radii: below 1 is inside.

        Squared in the plane and to the fourth power along z: rather a barrel than an egg, as organs are that run
        through many slices.
        """
        x, y, z = (grid[i] - np.float32(self.centre[i]) for i in range(3))
        c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        rx, ry, rz = self.radii.astype(np.float32)
        distance: Grid = ((x * c + y * s) / rx) ** 2 + ((y * c - x * s) / ry) ** 2 + (z / rz) ** 4
        return distance

    def point(self, shares: ArrayLike) -> Vector:
        """The point that lies at `shares` of the radii along its axes."""
        x, y, z = self.radii * np.asarray(shares, np.float64)
        c, s = np.cos(self.angle), np.sin(self.angle)
        moved: Vector = self.centre + np.array([x * c - y * s, x * s + y * c, z])
        return moved

    def part(self, place: ArrayLike, shares: ArrayLike) -> Barrel:
        """A barrel with `shares` of its radii, centred at ``point(place)``, turned the same way."""
        return Barrel(self.point(place), self.radii * np.asarray(shares), self.angle)


def tissues(
    rng: np.random.Generator, size: tuple[int, int, int], *, rare: bool, nodule: bool = True
) -> NDArray[np.uint8]:
    """Draw one patient: a map [X, Y, Z] of the tissue codes of this module.

    The organ has a cortex around a medulla and a small nodule on the cortex's rim. Unlabelled look-alikes are a
    neighbouring organ (like the cortex) and vessels (like the nodule). The `rare` anatomy lies on the other side, has
    two medullas, and its nodule sits between them. Without `nodule` there is none, and all else stays as it is.
    """
    grid = _bend(rng, _axes(size))
    out = np.full(size, AIR, np.uint8)
    out[Barrel(np.zeros(3), np.array([0.92, 0.80, 1.6])).distance(grid) < 1] = BODY

    side = -1.0 if rare else 1.0
    centre = np.array([side * 0.26, 0.0, 0.0]) + rng.uniform(-0.12, 0.12, 3)
    radii = np.array([0.36, 0.46, 0.76]) * rng.uniform(0.85, 1.15, 3)
    organ = Barrel(centre, radii, side * rng.uniform(-0.45, 0.45))
    beside = centre * [-1, 1, 1] + rng.uniform(-0.08, 0.08, 3)

    out[Barrel(beside, np.array([0.30, 0.44, 0.85]), -organ.angle).distance(grid) < 1] = NEIGHBOUR
    for _ in range(3):
        out[_vessel(rng, grid) & (out == BODY)] = VESSEL
    inside = organ.distance(grid) < 1
    out[inside] = CORTEX
    ripple = _ripple(rng, grid, centre)
    for medulla in _medullas(organ, rare=rare):
        out[inside & (medulla.distance(grid) + ripple < 1)] = MEDULLA
    if nodule:
        spot = Barrel(_seat(rng, organ, rare=rare), np.array([0.19, 0.19, 0.44]) * rng.uniform(0.85, 1.2))
        out[spot.distance(grid) < 1] = NODULE
    return out


def _medullas(organ: Barrel, *, rare: bool) -> list[Barrel]:
    if rare:
        return [organ.part([0, place, 0], [0.58, 0.36, 0.66]) for place in (-0.5, 0.5)]
    return [organ.part([-0.18, 0, 0], [0.60, 0.62, 0.76])]


def _seat(rng: np.random.Generator, organ: Barrel, *, rare: bool) -> Vector:
    """Where the nodule sits: between the medullas, or somewhere on the outer rim."""
    if rare:
        return organ.centre + rng.uniform(-0.04, 0.04, 3)
    bearing = rng.uniform(-1.3, 1.3)
    return organ.point([0.92 * np.cos(bearing), 0.92 * np.sin(bearing), rng.uniform(-0.3, 0.3)])


def _vessel(rng: np.random.Generator, grid: Grid) -> NDArray[np.bool_]:
    """A slanted tube along z."""
    start, slope = rng.uniform(-0.62, 0.62, 2), rng.uniform(-0.25, 0.25, 2)
    away = [grid[i] - start[i] - slope[i] * grid[2] for i in range(2)]
    tube: NDArray[np.bool_] = np.hypot(away[0], away[1]) < rng.uniform(0.05, 0.09)
    return tube


def _axes(size: tuple[int, int, int]) -> Grid:
    ticks = [(np.arange(n, dtype=np.float32) + 0.5) * 2 / n - 1 for n in size]
    return np.stack(np.meshgrid(*ticks, indexing="ij"))


def _bend(rng: np.random.Generator, grid: Grid, waves: int = 4, reach: float = 0.05) -> Grid:
    """Move every point by a few slow sine waves."""
    bent = grid.copy()
    for _ in range(waves):
        direction, pace, phase = rng.normal(0, reach, 3), rng.normal(0, 1.6, 3), rng.uniform(0, 2 * np.pi)
        wave = np.sin(np.tensordot(pace, grid, 1) + phase)
        bent += (direction[:, None, None, None] * wave).astype(np.float32)
    return bent


def _ripple(rng: np.random.Generator, grid: Grid, centre: Vector) -> Grid:
    """A scalloped rim around the long axis, so that no ellipse fits the medulla."""
    x, y, z = (grid[i] - np.float32(centre[i]) for i in range(3))
    lobes, phase = int(rng.integers(3, 6)), rng.uniform(0, 2 * np.pi)
    wave: Grid = 0.22 * np.sin(lobes * np.arctan2(y, x) + 2.0 * z + np.float32(phase))
    return wave
