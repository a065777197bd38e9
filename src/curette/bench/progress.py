"""How far a study is, and about how long it will take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from curette.loop.ledger import Ledger
from curette.loop.shared import Step
from curette.loop.state import STAGES, Stage, State, steps
from curette.query.strategy import Strategy

_TIMED: tuple[Stage, ...] = ("query", "train", "measure")


@dataclass(frozen=True)
class Progress:
    """Steps done of all steps of a study, the one done last (None at the start), and seconds left once they can be told."""

    done: int
    total: int
    step: Step | None
    seconds_left: float | None


class Tracker:
    """Counts steps, starting from what the ledger holds, and learns from each how long its kind takes."""

    def __init__(
        self,
        ledger: Ledger,
        strategies: Sequence[Strategy],
        seeds: Sequence[int],
        cycles: int,
        workers: int = 1,
    ) -> None:
        self._workers = workers
        self._total = len(strategies) * len(seeds) * steps(cycles)
        self._left: dict[Stage, int] = dict.fromkeys(_TIMED, 0)
        self._seconds: dict[Stage, list[float]] = defaultdict(list)
        self._done = 0
        for seed in seeds:
            for position, strategy in enumerate(strategies):
                run = ledger.run(str(strategy), seed)
                done = State.of(ledger.events(run.id), cycles).done if run else 0
                self._done += min(done, steps(cycles))
                for step in range(done, len(STAGES) * cycles):
                    cycle, stage = divmod(step, len(STAGES))
                    if _works(cycle, STAGES[stage], first=position == 0):
                        self._left[STAGES[stage]] += 1

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self._done == self._total

    def listener(self, on_progress: Callable[[Progress], None] | None) -> Callable[[Step], None]:
        """What a bench is to report its steps to; `on_progress` is told at once where the study starts from."""

        def listen(step: Step) -> None:
            self._count(step)
            if on_progress:
                on_progress(Progress(self._done, self._total, step, self._seconds_left()))

        if on_progress:
            on_progress(Progress(self._done, self._total, None, None))
        return listen

    def _count(self, step: Step) -> None:
        if step.waiting:
            return
        self._done += 1
        if step.seconds > 0:
            self._seconds[step.stage].append(step.seconds)
            self._left[step.stage] = max(0, self._left[step.stage] - 1)

    def _seconds_left(self) -> float | None:
        """None until every kind of step that is left has been timed."""
        if any(left and not self._seconds[stage] for stage, left in self._left.items()):
            return None
        mean = {stage: sum(s) / len(s) for stage, s in self._seconds.items() if s}
        return sum(mean[stage] * left for stage, left in self._left.items() if left) / self._workers


def _works(cycle: int, stage: Stage, *, first: bool) -> bool:
    """Whether a step takes time: the others of a seed take over what the first trained and measured in cycle 0."""
    if cycle == 0:
        return first and stage in ("train", "measure")
    return stage in _TIMED
