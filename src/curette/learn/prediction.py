"""What a model says about one batch of regions: the only thing a scorer sees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from curette.region import Region

Array = Any  # a NumPy array or a torch tensor: everything here is written against the array API

NEEDS = frozenset(
    {
        "mean",
        "member_entropy",
        "second_moment",
        "votes",
        "logits",
        "embedding",
        "deviation",
        "soft_dice",
        "pair_dice",
        "feature_map",
        "image",
    }
)
"""Fields of `Prediction` a component may need. Besides these it may need any component of kind ``column``."""

TWICE = frozenset({"deviation", "soft_dice"})
"""Fields that compare each pass with the mean of all: the passes are run a second time for them."""

_BY_CLASS = ("mean", "second_moment", "votes", "logits", "deviation", "image")
_BY_PIXEL = ("valid", "member_entropy")
_CELLS = 1 << 20  # probabilities in a slab: four megabytes


@dataclass(frozen=True, slots=True)
class Prediction:
    """Accumulated output of all passes for B regions, C classes and spatial shape S (empty for classification).

    mean            [B, C, *S] probabilities averaged over passes, float32
    passes          number of passes T that were accumulated
    valid           [B, *S] bool, False where the network's grid is padding or a pass could not see; None: all valid
    member_entropy  [B, *S] mean over passes of the entropy of each pass, nats
    second_moment   [B, C, *S] mean over passes of the squared probabilities
    votes           [B, C, *S] share of passes whose arg max is the class
    logits          [B, C, *S] logits averaged over passes
    embedding       [B, d] features of the deepest encoder level averaged over space and passes
    deviation       [B, C, *S] mean over passes of the absolute distance of the probabilities from `mean`
    soft_dice       [B, C] mean over passes of the soft Dice, 2 Σ p q / Σ (p + q), of a pass p with the mean q over valid
                    pixels; 1 where both are empty
    pair_dice       [B, C] Dice of the arg-max masks of two passes, averaged over all pairs of passes, on pixels that both
                    could see; 1 where both are empty, and with a single pass
    feature_map     [B, d, *s] the features of `embedding` before they are averaged over space, of the first pass only: other
                    passes may have been turned or mirrored
    image           [B, channels, *S] the images themselves, for parts that look where contours run; not kept
    columns         further facts of each region by the name of their ``column`` component, [B, …]; see `columns`. What
                    companions say of a region comes as columns, too

    Only `mean` is always there; the other fields are None unless a component of the study said it needs them. Dense
    fields are averaged, pixel by pixel, over the passes that could see the pixel.
    """

    regions: Sequence[Region]
    mean: Array
    passes: int = 1
    valid: Array | None = None
    member_entropy: Array | None = None
    second_moment: Array | None = None
    votes: Array | None = None
    logits: Array | None = None
    embedding: Array | None = None
    deviation: Array | None = None
    soft_dice: Array | None = None
    pair_dice: Array | None = None
    feature_map: Array | None = None
    image: Array | None = None
    columns: dict[str, Array] = field(default_factory=dict)

    def slabs(self) -> Iterator[Prediction]:
        """The same in slabs along the first axis of space, of one large region; else itself.

        What looks at one pixel at a time goes through them to keep its temporaries small beside the maps of a volume, and
        in the processor's cache. What is not dense is the same in all of them.
        """
        batch, _, *space = self.mean.shape
        rows = space[0] * _CELLS // math.prod(self.mean.shape) if space else 0
        if batch > 1 or not space or rows >= space[0]:
            yield self
            return
        step = max(1, rows)
        for start in range(0, space[0], step):
            yield self._rows(slice(start, start + step))

    def _rows(self, part: slice) -> Prediction:
        return replace(
            self,
            **{name: found[:, :, part] for name in _BY_CLASS if (found := getattr(self, name)) is not None},
            **{name: found[:, part] for name in _BY_PIXEL if (found := getattr(self, name)) is not None},
        )
