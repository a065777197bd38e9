"""The model files of a study: found by id, kept as long as a run may still want them, made again when they are gone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from curette.errors import DataError
from curette.learn.learner import Learner, Model
from curette.loop.features import SUFFIX
from curette.loop.ledger import Ledger
from curette.region import Region


def model_id(
    recipe: str,
    seed: int,
    cycle: int,
    members: int,
    labelled: Iterable[Region],
    start: str | None = None,
    more: Sequence[str] = (),
) -> str:
    """Hash of all that decides a model: settings, seed, cycle, networks, labelled set, the model it starts from or learns
    from, and whatever more its strategy asks of training."""
    parts: list[object] = [recipe, seed, cycle, members, sorted(str(region) for region in labelled), start]
    parts += [list(more)] if more else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


class Models:
    """The folder ``models/`` of a study, with the model used last in memory.

    Every file can be made again from the ledger, so the folder may be emptied at any time; it only costs a training.
    """

    def __init__(self, folder: Path, learner: Learner) -> None:
        self.folder, self.learner = folder, learner
        self._held: tuple[str, Model] | None = None

    def path(self, name: str) -> Path:
        """Where a model lies."""
        return self.folder / f"{name}.pt"

    def keep(self, name: str, model: Model) -> None:
        """Save a model under its id."""
        self.folder.mkdir(exist_ok=True)
        self.learner.save(model, self.path(name))
        self._held = (name, model)

    def get(self, name: str, train: Callable[[], Model]) -> Model:
        """The model of that id: from memory, from its file, or trained again when the file is gone.

        Raises `DataError` for a file that is there but damaged.
        """
        if self._held is not None and self._held[0] == name:
            return self._held[1]
        try:
            model = self.learner.load(self.path(name))
        except DataError:
            if self.path(name).exists():
                raise
            model = train()
            self.learner.save(model, self.path(name))
        self._held = (name, model)
        return model

    def drop(self, name: str, ledger: Ledger) -> None:
        """Delete a model that its run no longer needs, unless it is the latest of another run.

        A process that loses a file to another one this way trains the model again.
        """
        if name not in ledger.current_models():
            self.path(name).unlink(missing_ok=True)


def tidy(folder: Path, ledger: Ledger) -> None:
    """Delete what killed processes left in ``models/``: every file but the latest model of each run, and features.

    Only for a time when no run is under way: a model is saved before the ledger knows of it.
    """
    wanted = {f"{name}.pt" for name in ledger.current_models()}
    for path in folder.glob("*"):
        kept = path.name in wanted or (path.name.endswith(SUFFIX) and not path.name.startswith("."))
        if not kept and path.is_file():
            path.unlink(missing_ok=True)
