"""Looking at the validation patients while training, and ending it: early stopping, and triggers that end a cycle.

Only those patients are ever looked at: never the test patients, whatever is decided here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from curette.learn.progress import Progress
from curette.recipe import Train

Score = Callable[[], float]
"""How good the network is on the validation patients now; higher is better."""


@dataclass
class Course:
    """Where a training stands that another one may go on with.

    epoch       epochs behind it
    best        the value that the next look has to beat by `train.gain`
    optimisers  states of the network's optimiser and of those of companions, in their order
    """

    epoch: int = 0
    best: float = -math.inf
    optimisers: list[dict[str, Any]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """As plain values and tensors."""
        return {"epoch": self.epoch, "best": self.best, "optimisers": self.optimisers}


class Watch:
    """Counts epochs and looks of one training and says when it is over.

    score    looks at the validation patients; None: there are none
    trigger  whether the next query is due, given what is asked of `Progress`; None: the training is the last, or is not
             to be cut short
    labelled, cycle  units that are trained on, and queries so far, for the trigger
    """

    def __init__(
        self,
        settings: Train,
        *,
        score: Score | None = None,
        trigger: Callable[[Progress], bool] | None = None,
        labelled: int = 0,
        cycle: int = 0,
        best: float = -math.inf,
    ) -> None:
        self.settings, self.score, self.trigger = settings, score, trigger
        self.labelled, self.cycle, self.best = labelled, cycle, best
        self.epochs = self.stale = self.steps = 0
        self.looks: list[float] = []
        self._kept: dict[str, Tensor] | None = None
        self._top = -math.inf

    def step(self, network: nn.Module, *, epoch_over: bool) -> bool:
        """Count a step, look at the validation patients if it is time to, and say whether training ends here."""
        self.steps += 1
        self.epochs += epoch_over
        counts_epochs = self.settings.epochs is not None
        done, due = (self.epochs, epoch_over) if counts_epochs else (self.steps, True)
        every = self.settings.validate_every
        if self.score is not None and every and due and done % every == 0:
            self._look(network)
            if 0 < self.settings.patience <= self.stale:
                return True
        return epoch_over and self._due()

    @property
    def record(self) -> dict[str, Any]:
        """What a training took, in plain values."""
        record: dict[str, Any] = {"steps": self.steps}
        if self.settings.epochs is not None:
            record["epochs"] = self.epochs
        if self.looks:
            record["validation"] = [round(value, 6) for value in self.looks]
        return record

    def best_weights(self, network: nn.Module) -> None:
        """Give the network the weights of the best look, where the settings ask for them."""
        if self._kept is not None:
            network.load_state_dict(self._kept)

    def _look(self, network: nn.Module) -> None:
        assert self.score is not None
        network.eval()
        value = self.score()
        network.train()
        self.looks.append(value)
        if value >= self.best + self.settings.gain:
            self.best, self.stale = value, 0
        else:
            self.stale += 1
        if self.settings.keep == "best" and value > self._top:
            self._top = value
            self._kept = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def _due(self) -> bool:
        if self.trigger is None:
            return False
        n = self.labelled
        return self.trigger(
            Progress(self.cycle, n, n, n, training=True, epochs=self.epochs, stale=self.stale)
        )
