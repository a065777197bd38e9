"""What a strategy needs and costs, read from its parts: nothing of it is written down a second time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from curette.errors import unknown
from curette.learn.passes import count
from curette.learn.prediction import NEEDS
from curette.query.strategy import PRESETS, Preset, Strategy, parse_strategy

WORDS = {
    "boundary_inconsistency": "boundaries of two segmentations",
    "gradient": "gradients of the head",
    "gradient_absolute": "gradients of the head",
    "gradient_foreground": "gradients of the head",
    "gradient_foreground_absolute": "gradients of the head",
    "members": "answers of each pass",
    "predicted_accuracy": "a predictor of its Dice",
    "predicted_loss": "a predictor of its loss",
    "presence": "presence of foreground in each pass",
    "probabilities": "class shares",
    "samples": "sampled pixels",
    "structure_inconsistency": "distance maps",
    "thumbnail": "small images",
}
"""What people call columns."""


@dataclass(frozen=True)
class Facts:
    """A named strategy and what follows from its text. `name` may be an alias.

    Raises `SettingError` for an unknown name, with the nearest one.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in PRESETS:
            raise unknown("strategy", self.name, PRESETS)

    @property
    def preset(self) -> Preset:
        return PRESETS[self.name]

    @cached_property
    def strategy(self) -> Strategy:
        return parse_strategy(self.preset.text)

    @property
    def aliases(self) -> tuple[str, ...]:
        """The other names of the same strategy, in the order of the table."""
        return tuple(n for n, p in PRESETS.items() if n != self.name and p == self.preset)

    @property
    def main(self) -> str:
        """The first of its names."""
        return next(n for n, p in PRESETS.items() if p == self.preset)

    @property
    def passes(self) -> int | None:
        """Forward passes an image costs; None if only running them tells."""
        return count(self.strategy.passes)

    @property
    def networks(self) -> int:
        """Independently trained networks; 0 if it never looks at a model."""
        return self.strategy.members

    @property
    def features(self) -> bool:
        return "embedding" in self.strategy.needs

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that candidates and labelled set keep for it."""
        return tuple(sorted(self.strategy.needs - NEEDS))

    @property
    def labels(self) -> bool:
        """Whether it looks at the labels of what is labelled (not only at which regions are)."""
        return any(part.says("labels") for part in self.strategy.parts)

    @property
    def truth(self) -> bool:
        """Whether it looks at ground truth of the pool, which only a simulation has."""
        return self.preset.truth or self.strategy.truth

    @property
    def needs(self) -> list[str]:
        """What must be there for it, as phrases."""
        wanted = [part.component.info.get("wants", "") for part in self.strategy.parts]
        found = {
            "no model": self.networks == 0,
            f"{self.networks} networks": self.networks > 1,
            **{what: bool(what) for what in wanted},
            "features": self.features,
            "labels": self.labels,
            "ground truth": self.truth,
        }
        return [what for what, there in found.items() if there] + [WORDS.get(c, c) for c in self.columns]

    @property
    def cost(self) -> str:
        """What asking costs, as a phrase: ``10 passes``, ``5 networks, 5 passes``, ``no pass``."""
        made = {None: "several passes", 0: "no pass", 1: "1 pass"}.get(self.passes, f"{self.passes} passes")
        trained = f"{self.networks} networks" if self.networks > 1 else ""
        return ", ".join(filter(None, (trained, made, self.preset.cost)))


def named() -> list[Facts]:
    """Every named strategy once, by its first name, in the order of the table."""
    return [facts for name in PRESETS if (facts := Facts(name)).main == name]
