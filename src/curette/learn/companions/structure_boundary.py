"""SBC-AL's network: beside the network's own segmentation a distance map of each class, and one refined by them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer

from curette.errors import SettingError, unknown
from curette.learn.companions.contract import Companion, Seen
from curette.learn.companions.distance_branch import (
    REFINEMENTS,
    DistanceBranch,
    Refinement,
    at_least_0,
    look,
)
from curette.learn.distance import inner_distances
from curette.learn.losses import segmentation_loss
from curette.learn.optimisers import optimiser
from curette.recipe import Train
from curette.task import Task

_UNITS = ("normalised", "raw")
_ZEROS = ("boundary", "outside")
_MAPS = "structure_boundary maps"


@dataclass(frozen=True)
class Options:
    """What the card `structure_boundary` says of each. Raises `SettingError` for values out of range."""

    coarse: float
    distance: float
    sfp_rate: float
    refine: str
    blocks: int
    distances: str
    zero: str
    frame: bool

    def __post_init__(self) -> None:
        for name in ("coarse", "distance"):
            if getattr(self, name) < 0:
                raise SettingError(
                    f"Companion 'structure_boundary': {name} is {getattr(self, name):g}, a weight from 0 up."
                )
        if self.sfp_rate <= 0:
            raise SettingError(
                f"Companion 'structure_boundary': sfp_rate is {self.sfp_rate:g}; it is a share of train.lr above 0."
            )
        if self.blocks < 1:
            raise SettingError(
                f"Companion 'structure_boundary': blocks is {self.blocks}, but there is at least one."
            )
        for what, known in (("refine", REFINEMENTS), ("distances", _UNITS), ("zero", _ZEROS)):
            if getattr(self, what) not in known:
                raise unknown(what, getattr(self, what), known)


class StructureBoundary(Companion):
    """The companion of `curette.learn.companions.cards.structure_boundary`, which describes its options."""

    def __init__(self, network: nn.Module, task: Task, channels: int, options: Options) -> None:
        super().__init__()
        self.options, self.classes, self.ignore = options, len(task.classes), task.ignore
        widths, stride = look(network, task.dims, channels)
        self.branch = DistanceBranch(task.dims, widths, self.classes, options.blocks, stride)
        if options.refine == "none":
            return
        head = getattr(network, "head", None)
        if not isinstance(head, nn.Module):
            raise SettingError(
                f"The companion 'structure_boundary' refines what the network's head is given, and {type(network).__name__} "
                "does not end in a plain head. Use a network such as 'unet' or 'unet_plus_plus' (train.model), or "
                "structure_boundary(refine=none)."
            )
        width = int(head.in_channels)  # type: ignore[arg-type]
        self.refinement = Refinement(task.dims, self.classes, width, options.refine)
        self.head: nn.Module = getattr(nn, f"Conv{task.dims}d")(width, self.classes, kernel_size=1)

    def refine(self, seen: Seen) -> Tensor:
        maps = self.branch(seen.levels, seen.images.shape[2:])
        seen.notes[_MAPS] = maps
        if self.options.refine == "none":
            return seen.logits
        assert seen.features is not None
        refined: Tensor = self.head(self.refinement(seen.features, at_least_0(maps)))
        return refined

    def loss(self, seen: Seen, said: Tensor, labels: Tensor, clock: object) -> Tensor:
        """``coarse · CE(network's own logits) + distance · MSE(maps, distances)``, over known voxels and all channels."""
        known = labels != self.ignore
        apart = (seen.notes[_MAPS].float() - self.measured(labels)).square() * known.unsqueeze(1)
        term = self.options.distance * apart.sum() / (known.sum() * self.classes).clamp_min(1)
        if self.options.coarse and self.options.refine != "none":
            entropy = segmentation_loss(seen.logits, labels, ignore=self.ignore, dice=0)
            term = term + self.options.coarse * entropy
        return term

    def outputs(self, seen: Seen, said: Tensor) -> dict[str, Tensor]:
        return {
            "distances": at_least_0(seen.notes[_MAPS].float()),
            "structure": self.measured(said.argmax(1)),
            "coarse": seen.logits,
        }

    def optimiser(self, settings: Train) -> Optimizer | None:
        """One of the network's kind for the distance branch alone, unless it learns at the network's rate."""
        if self.options.sfp_rate == 1:
            return None
        slower = settings.model_copy(update={"lr": settings.lr * self.options.sfp_rate})
        return optimiser(self.branch.named_parameters(), slower)

    def measured(self, labels: Tensor) -> Tensor:
        """The distance maps [B, C, *S] of class maps [B, *S] in the unit that the branch regresses."""
        how = self.options
        return inner_distances(
            labels,
            self.classes,
            ignore=self.ignore,
            zero=how.zero,
            frame=how.frame,
            normalise=how.distances == "normalised",
        )
