"""The learner behind the loop's contract, on PyTorch: trains networks, sweeps regions, keeps models on disk."""

from __future__ import annotations

import json
import math
import pickle
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from curette.errors import CuretteWarning, DataError, SettingError
from curette.files import replacing
from curette.learn.companions.contract import accompany
from curette.learn.crops import Crops, Read, Samples, Whole, check_crop, checked, largest, padded
from curette.learn.encoders import Encoding, rows
from curette.learn.learner import NOTHING_MORE, Assignment, Images, Labels
from curette.learn.models import build
from curette.learn.objective import objective
from curette.learn.optimisers import optimiser
from curette.learn.precision import choose
from curette.learn.predict import predict
from curette.learn.prediction import Prediction
from curette.learn.progress import Clock
from curette.learn.train import expect, train
from curette.learn.validate import validation_score
from curette.learn.watch import Course, Watch
from curette.recipe import Train
from curette.region import Region
from curette.registry import Bound
from curette.seeds import derive
from curette.task import Task
from curette.text import read

FORMAT = 1
_SHARE = 0.25  # of the free memory that training data may take before they are read batch by batch
_GATHER = 256  # regions read at once when training data are put together


@dataclass(frozen=True)
class TorchModel:
    """Independently trained networks of one architecture, and the precision they were trained in and predict in.

    companions  what they were trained with; the networks are then `curette.learn.companions.contract.Accompanied`
    courses     where each training stands, for one that goes on with it (``train.start = "continue"``)
    record      steps and epochs of the first network's training, and its looks at the validation patients
    """

    networks: tuple[nn.Module, ...]
    precision: str
    companions: tuple[Bound, ...] = ()
    courses: tuple[Course, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def members(self) -> int:
        return len(self.networks)


class TorchLearner:
    """Implements `curette.learn.learner.Learner` for the networks of `curette models`.

    `images` yields the prepared images of any region, `channels` is how many they have, `batch` how many regions a
    sweep looks at in one forward pass. On the same machine and number of threads, equal labels and seed give bit-equal
    models. Predictions hold float32 tensors on the device that computes them; scorers take those as they are.
    """

    def __init__(self, task: Task, images: Images, settings: Train, *, channels: int, batch: int) -> None:
        self.task, self.images, self.settings = task, images, settings
        self.channels, self.batch = channels, batch
        self.device = _device(settings.device)
        check_crop(settings, task)
        # What does not exist or does not fit is refused before anything is written.
        network = self._build(0)
        objective(settings, task)
        optimiser(network.named_parameters(), settings)
        read("schedule", settings.schedule)(Clock(0, 1), settings.warmup)

    def fit(
        self,
        labels: Labels,
        *,
        seed: int,
        members: int = 1,
        start: TorchModel | None = None,
        assignment: Assignment = NOTHING_MORE,
    ) -> TorchModel:
        """Train `members` networks on the labelled regions, from new weights or on from those of `start`.

        What `assignment` has taught is learned like labels, and labels come before it. The order of `labels` does not matter, and each member's randomness comes from (seed, its number) alone. Raises
        `SettingError` without labels, `DataError` naming a region whose label does not fit, `DivergedError`.
        """
        if not labels:
            raise SettingError("There is nothing to train on: no region is labelled. Raise query.initial.")
        if start is not None and start.members < members:
            raise SettingError(
                f"The model to start from holds {start.members} networks, but {members} are wanted."
            )
        known: Labels = {**assignment.taught, **labels} if assignment.taught else labels
        regions = sorted(known)
        samples = self._samples(regions, known)
        shape = (self.settings.batch, *samples.shape)
        precision = choose(self.settings.precision, self.device, self._build, shape)
        settings = self.settings.model_copy(update={"precision": precision})
        networks, courses, watches = [], [], []
        for member in range(members):
            network = self._made(seed, member, assignment.companions)
            before = Course()
            if start is None:
                expect(network, samples.counts)
            else:
                network.load_state_dict(start.networks[member].state_dict())
                before = start.courses[member] if settings.start == "continue" and start.courses else before
                if before.epoch >= (settings.epochs or math.inf):
                    _warn_of_no_epochs(assignment.cycle, settings)
            fabric = Fabric(accelerator=self.device.type, devices=_devices(self.device), precision=precision)
            watch = self._watch(network, settings, assignment, len(labels), before)
            course = train(
                network,
                samples,
                self.task,
                settings,
                fabric,
                seed=derive(seed, member, "training"),
                watch=watch,
                course=before,
            )
            networks.append(network)
            courses.append(course)
            watches.append(watch)
        kept = tuple(courses) if settings.start == "continue" else ()
        return TorchModel(tuple(networks), precision, assignment.companions, kept, watches[0].record)

    def _made(self, seed: int, member: int, companions: Sequence[Bound]) -> nn.Module:
        """A new network in the company of what is trained along; its own weights are the same without it."""
        network = self._build(derive(seed, member, "weights"))
        with torch.random.fork_rng([]):
            torch.manual_seed(derive(seed, member, "companions"))
            return accompany(network, companions, self.task, self.channels)

    def _watch(
        self, network: nn.Module, settings: Train, assignment: Assignment, labelled: int, before: Course
    ) -> Watch:
        """Who looks after a training: at the validation patients, and for the next query."""
        score = None
        if settings.validate_every and assignment.validation:
            score = validation_score(
                network,
                self.images,
                assignment.validation,
                self.task,
                batch=self.batch,
                device=self.device,
                precision=settings.precision,
                crop=settings.crop,
            )
        return Watch(
            settings,
            score=score,
            trigger=assignment.trigger,
            labelled=labelled,
            cycle=assignment.cycle,
            best=before.best,
        )

    def predict(
        self, model: TorchModel, regions: Sequence[Region], passes: Bound, needs: frozenset[str], *, seed: int
    ) -> Iterator[Prediction]:
        """Yield predictions batch by batch, in order; see `curette.learn.predict.predict`.

        Units larger than what the networks were trained on are looked at in windows of `train.crop`.
        """
        return predict(
            model.networks,
            self.images,
            regions,
            passes,
            needs,
            batch=self.batch,
            seed=seed,
            device=self.device,
            precision=model.precision,
            crop=self.settings.crop,
        )

    def encode(self, regions: Sequence[Region], passes: Bound, *, seed: int) -> NDArray[np.float32]:
        """Embeddings [N, d] of images alone; see `curette.learn.encoders`."""
        asked = Encoding(self.images, regions, seed, str(self.device), self.batch)
        return rows(passes(asked), passes, len(regions))

    def save(self, model: TorchModel, path: Path) -> None:
        """Write weights, network settings and class names to `path`: all of it, or nothing."""
        content = {
            "format": FORMAT,
            "network": self._network(),
            "precision": model.precision,
            "companions": [companion.spelt_out for companion in model.companions],
            "courses": [course.state() for course in model.courses],
            "record": model.record,
            "weights": [
                {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
                for network in model.networks
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("wb") as file:
            torch.save(content, file)

    def load(self, path: Path) -> TorchModel:
        """Read a model that `save` wrote. Raises `DataError` if it is missing, damaged, or of another network or task."""
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            stored, precision, weights = content["network"], content["precision"], content["weights"]
            companions = tuple(read("companion", text) for text in content.get("companions", ()))
            courses = tuple(Course(**course) for course in content.get("courses", ()))
            record = dict(content.get("record", {}))
        except FileNotFoundError:
            raise DataError(f"There is no model {path}. Train it again.") from None
        except (
            OSError,
            RuntimeError,
            EOFError,
            KeyError,
            TypeError,
            ValueError,
            pickle.UnpicklingError,
        ) as problem:
            raise DataError(
                f"The model {path} cannot be read, it is damaged or incomplete ({type(problem).__name__}). "
                "Delete it and train it again."
            ) from problem
        if stored != self._network():
            different = ", ".join(k for k, v in self._network().items() if stored.get(k) != v)
            raise DataError(
                f"The model {path} was trained with other settings: {different} differ. Train it again."
            )
        networks = []
        for states in weights:
            network = accompany(self._build(0, pretrained=False), companions, self.task, self.channels)
            try:
                network.load_state_dict(states)
            except RuntimeError as problem:
                raise DataError(
                    f"The model {path} was trained by another version of curette, whose network "
                    f"'{self.settings.model}' has other parts. Train it again."
                ) from problem
            network.to(self.device, memory_format=self._format)  # type: ignore[call-overload]
            networks.append(network.eval())
        return TorchModel(tuple(networks), precision, companions, courses, record)

    def _samples(self, regions: Sequence[Region], labels: Labels) -> Samples:
        """All units in memory, if they take a quarter of it at most; otherwise they, as crops and volumes always, are read
        when they are drawn."""
        how, segmented = self.settings, self.task.kind == "segmentation"
        if segmented and (how.crop or self.task.dims == 3):
            return Crops(self.images, labels, self.task, how.crop, how.foreground, channels=self.channels)
        shape = (self.channels, *largest(self.images, regions))
        if 4 * len(regions) * math.prod(shape) > _SHARE * _free(self.device):
            return Read(self.images, labels, self.task, shape)
        images, answers = self._gather(regions, labels, shape)
        return Whole(images.to(self.device), answers.to(self.device), self.task)

    def _gather(
        self, regions: Sequence[Region], labels: Labels, shape: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        """All training images [N, *shape] and labels ([N, *S] or [N]) in one tensor each."""
        images = np.empty((len(regions), *shape), np.float32)
        for i in range(0, len(regions), _GATHER):
            images[i : i + _GATHER] = padded(self.images, regions[i : i + _GATHER], shape)
        answers = np.stack([checked(r, labels, shape, self.task) for r in regions]).astype(np.int16)
        return torch.from_numpy(images), torch.from_numpy(answers)

    def _build(self, seed: int = 0, *, pretrained: bool = True) -> nn.Module:
        """A network with the weights that belong to `seed`; torch's global generator stays as it was."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            return build(self.task, self.channels, self.settings, pretrained=pretrained)

    def _network(self) -> dict[str, Any]:
        """What decides whether stored weights fit."""
        return {
            "model": self.settings.model,
            "options": json.dumps(self.settings.options, sort_keys=True),
            "kind": self.task.kind,
            "classes": list(self.task.names),
            "channels": self.channels,
        }

    @property
    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.task.dims == 2 else torch.channels_last_3d


def _warn_of_no_epochs(cycle: int, settings: Train) -> None:
    warnings.warn(
        f"The {settings.epochs} epochs of the training that goes on were used up before cycle {cycle}: its model learns "
        "nothing from the new labels. Raise train.epochs, or let the trigger ask earlier.",
        CuretteWarning,
        stacklevel=4,
    )


def _device(name: str) -> torch.device:
    """The device a setting names; ``auto`` is CUDA where there is one. Raises `SettingError` if it is not here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingError(f"train.device is '{name}'. Set it to auto, cpu, cuda or cuda:1.") from None
    if device.type not in ("cpu", "cuda"):
        raise SettingError(f"train.device is '{name}'. Set it to auto, cpu or cuda.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingError(
            f"train.device is '{name}', but PyTorch sees {torch.cuda.device_count()} CUDA devices here. Set it to auto or cpu."
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def _free(device: torch.device) -> int:
    """Bytes of memory that nothing uses, of the device and of the host, through which everything goes."""
    host = int(psutil.virtual_memory().available)
    return min(host, int(torch.cuda.mem_get_info(device)[0])) if device.type == "cuda" else host


def _devices(device: torch.device) -> int | list[int]:
    return [device.index] if device.type == "cuda" else 1
