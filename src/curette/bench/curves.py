"""Learning curves: small SVG panels for the report, and one static figure for a paper or a README.

Matplotlib is imported when something is drawn. In the report the drawing takes its colours from the page, so that one
picture serves light and dark, and a strategy keeps its colour and marker everywhere.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curette.errors import DataError, SettingError
from curette.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIGHT = ("#0b6aa8", "#c4500c", "#0f8a63", "#a3468c", "#b8860b", "#5a5fc7", "#c23b4a", "#3c8fa3", "#7a6a2f")
DARK = ("#5cb3ee", "#f28a4f", "#46c79b", "#dd8fcb", "#e3b93c", "#9da2f5", "#f07c88", "#7cc7d8", "#bfae6b")
CONTROL = ("#6b6f76", "#a5a9b0")
"""Colour of the random control, light and dark: grey, because everything else is measured against it."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h")
_INK, _GRID = "#1b1d21", "#d9d6d0"


@dataclass(frozen=True)
class Look:
    """How one strategy looks everywhere: colour on light and dark pages, marker, and whether its line is dashed."""

    light: str
    dark: str
    marker: str
    dashed: bool = False


@dataclass(frozen=True)
class Point:
    """Mean over n seeds after one training, at `labelled` units or another measure of cost.

    `low` and `high` are the ends of the 95 % t-interval, NaN for fewer than two seeds.
    """

    cycle: int
    labelled: float
    mean: float
    sd: float
    low: float
    high: float
    values: tuple[float, ...]

    @property
    def n(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Curve:
    """Points of one strategy in the order of cycles."""

    strategy: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Difference:
    """A strategy's mean paired difference to random, with its 95 % t-interval, for the figure."""

    strategy: str
    mean: float
    low: float
    high: float


def looks(strategies: Sequence[str], control: str | None) -> dict[str, Look]:
    """A look for each strategy: the control is grey; the tenth and later repeat colours, with dashed lines."""
    found: dict[str, Look] = {}
    others = [s for s in strategies if s != control]
    if control is not None:
        found[control] = Look(*CONTROL, marker=MARKERS[0])
    for i, strategy in enumerate(others):
        k = i % len(LIGHT)
        marker = MARKERS[(i + 1 + i // len(LIGHT)) % len(MARKERS)]
        found[strategy] = Look(LIGHT[k], DARK[k], marker, dashed=i >= len(LIGHT))
    return {s: found[s] for s in strategies}


def panel(
    curves: Sequence[Curve], look: dict[str, Look], *, title: str, xlabel: str, salt: str, wide: bool
) -> str:
    """One panel as inline SVG: colours are the page's variables ``--s0`` …, groups carry the classes ``s0`` …

    `salt` makes the ids inside differ from those of the page's other panels.
    """
    import matplotlib
    from matplotlib.figure import Figure

    number = {s: i for i, s in enumerate(look)}
    with matplotlib.rc_context(_style(salt)):
        figure = Figure(figsize=(5.8, 4.15) if wide else (4.0, 2.9), layout="constrained")
        axes = figure.subplots()
        for curve in curves:
            _draw(axes, curve, look[curve.strategy], most(curves), number[curve.strategy])
        _frame(axes, curves, title, "", xlabel)
        svg = _svg(figure)
    return _inline(svg, [look[s].light for s in look], describe(curves, title, xlabel))


def cloud(
    points: Sequence[tuple[float, float]],
    strategy: str,
    look: dict[str, Look],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    salt: str,
) -> str:
    """A scatter as inline SVG, in the colour that the strategy has everywhere on the page."""
    import matplotlib
    from matplotlib.figure import Figure

    x, y = np.array(points, float).reshape(-1, 2).T
    with matplotlib.rc_context(_style(salt)):
        figure = Figure(figsize=(3.4, 3.0), layout="constrained")
        axes = figure.subplots()
        own = look[strategy]
        dots = axes.plot(
            x, y, linestyle="", marker="o", markersize=2.6, color=own.light, alpha=0.45, markeredgewidth=0
        )
        dots[0].set_gid(f"s{list(look).index(strategy)}-0")
        axes.set_title(title, pad=8)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        svg = _svg(figure)
    words = f"{ylabel} against {xlabel}, {len(x)} points of {strategy}."
    return _inline(svg, [look[s].light for s in look], words)


def most(curves: Sequence[Curve]) -> int:
    """The largest number of seeds that any point averages."""
    return max((p.n for c in curves for p in c.points), default=0)


def describe(curves: Sequence[Curve], title: str, xlabel: str) -> str:
    """What a curve panel shows, in words, for those who cannot see it."""
    ends = [
        f"{c.strategy} {c.points[0].mean:.3g} to {c.points[-1].mean:.3g}" for c in curves if len(c.points) > 0
    ]
    return f"{title} against {xlabel}. From first to last training: {'; '.join(ends)}."


def picture(
    path: Path,
    curves: Sequence[Curve],
    differences: Sequence[Difference],
    look: dict[str, Look],
    *,
    title: str,
    ylabel: str,
    xlabel: str,
    control: str | None,
) -> Path:
    """Write a static figure, learning curves and beside them the differences to random; the suffix gives the format.

    Raises `SettingError` for a format Matplotlib does not know and `DataError` when the file cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    known = sorted(Figure().canvas.get_supported_filetypes())
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in known:
        raise SettingError(f"{path} has no picture format in its name. Use one of: {', '.join(known)}.")
    with matplotlib.rc_context(_style(title) | {"svg.fonttype": "path", "font.size": 9}):
        widths = [1.55, 1] if differences else [1]
        figure = Figure(figsize=(9.0 if differences else 5.4, 3.9), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        grid = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)
        left = grid[0, 0]
        for curve in curves:
            _draw(left, curve, look[curve.strategy], most(curves))
        _frame(left, curves, "", ylabel, xlabel)
        left.legend(frameon=False, loc="best", fontsize=8)
        if differences:
            _forest(grid[0, 1], differences, look, control or "random")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as draft:
                figure.savefig(
                    draft, format=suffix, dpi=200, facecolor="white", bbox_inches="tight", pad_inches=0.08
                )
        except OSError as problem:
            raise DataError(f"{path} cannot be written: {problem}.") from None
    return path


def _style(salt: str) -> Any:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "axes.linewidth": 0.6,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": _GRID,
        "grid.linewidth": 0.6,
    }


def _draw(axes: Axes, curve: Curve, look: Look, seeds: int, group: int | None = None) -> None:
    """Line, markers (hollow where fewer than `seeds` runs are averaged), and the interval as a band.

    With two seeds it is the seeds themselves instead, as their interval says little.
    """
    if not curve.points:
        return
    x = np.array([p.labelled for p in curve.points])
    y = np.array([p.mean for p in curve.points])
    style: dict[str, Any] = {
        "marker": look.marker,
        "markersize": 4.5,
        "markeredgewidth": 0.9,
        "color": look.light,
    }
    whole = np.array([p.n >= seeds for p in curve.points])
    line = "--" if look.dashed else "-"
    drawn: list[Any] = axes.plot(
        x, y, linewidth=1.6, linestyle=line, markevery=whole, label=curve.strategy, **style
    )
    if not whole.all():
        drawn += axes.plot(x[~whole], y[~whole], linestyle="", markerfacecolor="none", **style)
    if all(p.n > 2 for p in curve.points):
        low = np.array([p.low for p in curve.points])
        high = np.array([p.high for p in curve.points])
        drawn.append(axes.fill_between(x, low, high, color=look.light, alpha=0.13, linewidth=0))
    elif any(p.n > 1 for p in curve.points):
        single = [(p.labelled, v) for p in curve.points for v in p.values if p.n > 1]
        xs, ys = zip(*single, strict=True)
        drawn += axes.plot(
            xs,
            ys,
            linestyle="",
            marker=look.marker,
            markersize=3,
            color=look.light,
            alpha=0.4,
            markeredgewidth=0,
        )
    if group is not None:
        for i, artist in enumerate(drawn):
            artist.set_gid(f"s{group}-{i}")


def _frame(axes: Axes, curves: Sequence[Curve], title: str, ylabel: str, xlabel: str) -> None:
    points = [p for c in curves for p in c.points]
    budgets = sorted({p.labelled for p in points})
    axes.set_title(title, pad=8)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if len(budgets) <= max((len(c.points) for c in curves), default=0):  # the same budgets for all
        axes.set_xticks(budgets[:: -(-len(budgets) // 8)])
    axes.margins(x=0.03)
    if points:
        axes.set_ylim(*_limits(points))


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """Room for all means and seeds; intervals may ask for as much again, then they leave the frame."""
    values = np.array([v for p in points for v in (p.mean, *p.values) if np.isfinite(v)])
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 0.02 * max(abs(high), abs(low)), 1e-6)
    bands = np.array([v for p in points if p.n > 2 for v in (p.low, p.high) if np.isfinite(v)])
    if len(bands):
        low = max(low - 0.6 * span, min(low, float(bands.min())))
        high = min(high + 0.6 * span, max(high, float(bands.max())))
    return low - 0.06 * span, high + 0.06 * span


def _forest(axes: Axes, differences: Sequence[Difference], look: dict[str, Look], control: str) -> None:
    for row, d in enumerate(reversed(differences)):
        own = look[d.strategy]
        if np.isfinite(d.low):
            axes.plot([d.low, d.high], [row, row], color=own.light, linewidth=1.6, solid_capstyle="butt")
        axes.plot(d.mean, row, marker=own.marker, color=own.light, markersize=6, markeredgewidth=0)
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_yticks(range(len(differences)), [d.strategy for d in reversed(differences)])
    axes.set_ylim(-0.6, len(differences) - 0.4)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter("{x:+.3g}")
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(f"area under the curve minus that of {control}\n(paired by seed, 95 % interval)")


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(
        text,
        format="svg",
        transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    return text.getvalue()


def _inline(svg: str, colours: Sequence[str], label: str) -> str:
    """Make a stand-alone SVG part of a page: no prologue, no ids of its own that could clash, the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'id="s(\d+)-\d+"', r'class="s\1"', svg)
    used = set(re.findall(r"#([\w-]+)[\")]", svg))
    svg = re.sub(r'\sid="([^"]*)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font-size: \1px", svg)
    svg = svg.replace(_INK, "currentColor").replace(_GRID, "var(--grid)")
    for i, colour in enumerate(colours):
        svg = svg.replace(colour, f"var(--s{i})") if colours.index(colour) == i else svg
    start = re.sub(r'\s(width|height)="[^"]*"', "", svg[: svg.index(">")])
    return f'{start} role="img" aria-label="{escape(label, quote=True)}"{svg[svg.index(">") :]}'.strip()
