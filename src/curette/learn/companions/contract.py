"""What a companion is, and a network in company: it says what the network says, and keeps what companions look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from curette.errors import SettingError
from curette.learn.companions import check
from curette.learn.progress import Clock
from curette.recipe import Train
from curette.registry import Bound
from curette.task import Task


@dataclass(frozen=True)
class Seen:
    """What one forward pass of a network shows.

    images    [B, channels, *S]
    levels    features of the encoder [B, d, *s], from the finest level to the deepest
    features  [B, d, *S] what the head was given; None for a network without a plain head
    logits    [B, C, *S] or [B, C], what the network itself says
    notes     what a companion found in `refine` and looks at again in `loss` or `outputs`; it lives as long as the rest
    """

    images: Tensor
    levels: tuple[Tensor, ...]
    features: Tensor | None
    logits: Tensor
    notes: dict[str, Tensor] = field(default_factory=dict, compare=False)


class Companion(nn.Module):
    """A module that is trained along. By default it does nothing: a companion takes over what it needs.

    It may refine what the network says, add a term to the loss, give outputs when regions are looked at, and have an
    optimiser of its own. Whatever must not reach the network it detaches itself.
    """

    def refine(self, seen: Seen) -> Tensor:
        """What network and companion say together: logits like those of the network."""
        return seen.logits

    def loss(self, seen: Seen, said: Tensor, labels: Tensor, clock: Clock) -> Tensor | None:
        """A term to add to the loss of `said`, the refined logits, or None while it is silent.

        `labels` [B, *S] or [B] hold the task's ignore value where nothing is known.
        """
        return None

    def outputs(self, seen: Seen, said: Tensor) -> dict[str, Tensor]:
        """What it has to say of each region, [B, …] by name, in evaluation mode."""
        return {}

    def optimiser(self, settings: Train) -> Optimizer | None:
        """An optimiser for its own weights, at its peak learning rate.

        Weights that it does not hold, all of them if it is None, are trained with the network's.
        """
        return None

    def rate(self, clock: Clock, rate: float) -> float:
        """The share of the peak of its own learning rate now; `rate` is the network's share."""
        return rate


class Accompanied(nn.Module):
    """A network and its companions as one network, with the same `deepest`, and the head of whoever has the last word.

    keep  whether the last forward pass is kept for `losses` and `outputs`; its tensors live until the next one
    """

    def __init__(self, network: nn.Module, companions: Mapping[str, Companion]) -> None:
        super().__init__()
        self.network, self.companions = network, nn.ModuleDict(dict(companions))
        self.keep = False
        self._levels: dict[int, Tensor] = {}
        self._features: Tensor | None = None
        self._last: tuple[Seen, Tensor] | None = None
        for number, level in enumerate(levels(network)):
            level.register_forward_hook(partial(self._note, number))
        if isinstance(head := getattr(network, "head", None), nn.Module):
            head.register_forward_hook(self._look)

    def __getstate__(self) -> dict[str, Any]:
        """Copies have no part in a forward pass: while training, its tensors could not be copied."""
        return self.__dict__ | {"_levels": {}, "_features": None, "_last": None}

    @property
    def deepest(self) -> nn.Module:
        found: nn.Module = self.network.deepest  # type: ignore[assignment]
        return found

    @property
    def head(self) -> nn.Module | None:
        own = [c.head for c in self.companions.values() if isinstance(getattr(c, "head", None), nn.Module)]
        found: nn.Module | None = own[-1] if own else getattr(self.network, "head", None)  # type: ignore[assignment]
        return found

    def forward(self, x: Tensor) -> Tensor:
        self.forget()
        logits: Tensor = self.network(x)
        seen = Seen(x, tuple(self._levels[n] for n in sorted(self._levels)), self._features, logits)
        said = logits
        for companion in self._all():
            refined = companion.refine(seen)
            said = said if refined is logits else refined
        self.forget()
        if self.keep:
            self._last = seen, said
        return said

    def losses(self, labels: Tensor, clock: Clock) -> list[Tensor]:
        """The terms that companions add to the loss of the last forward pass."""
        assert self._last is not None
        seen, said = self._last
        terms = (companion.loss(seen, said, labels, clock) for companion in self._all())
        return [term for term in terms if term is not None]

    def outputs(self) -> dict[str, Tensor]:
        """What companions say of the regions of the last forward pass, which is then forgotten."""
        assert self._last is not None
        found = {
            name: value for companion in self._all() for name, value in companion.outputs(*self._last).items()
        }
        self._last = None
        return found

    def forget(self) -> None:
        """Let go of the tensors of the last forward pass."""
        self._levels, self._features, self._last = {}, None, None

    def _all(self) -> Sequence[Companion]:
        return list(self.companions.values())  # type: ignore[arg-type]

    def _note(self, number: int, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._levels[number] = output

    def _look(self, _module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        self._features = inputs[0]


def levels(network: nn.Module) -> tuple[nn.Module, ...]:
    """The submodules whose outputs are the encoder's features, from the finest level to the deepest."""
    found: Sequence[nn.Module] = getattr(network, "levels", ()) or (network.deepest,)  # type: ignore[assignment]
    return tuple(found)


def accompany(network: nn.Module, companions: Sequence[Bound], task: Task, channels: int) -> nn.Module:
    """The network with these companions, newly made with torch's global generator; itself if there are none.

    Raises `SettingError` for one that is not for this task, and where two give the same output.
    """
    if not companions:
        return network
    check(companions, task)
    given: dict[str, str] = {}
    for companion in companions:
        for name in companion.component.info.get("gives", ()):
            if name in given:
                raise SettingError(
                    f"The companions '{given[name]}' and '{companion.name}' both give '{name}'."
                )
            given[name] = companion.name
    return Accompanied(network, {c.name: c(network, task, channels) for c in companions})
