"""A study file: which data, how to train, what to query, with which strategies and seeds.

Every field of these models is a setting a user may write in ``STUDY.toml``; the docs list them from here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomlkit
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from curette.errors import SettingError, nearest


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Section):
    """Where the images come from and what one unit of annotation is."""

    dataset: str = Field(description="a name from `curette datasets`: msd, medmnist, folder, phantom …")
    root: Path | None = Field(None, description="folder or file of the data; relative to the study file")
    options: dict[str, Any] = Field(
        default_factory=dict, description="options of the data set, see `curette datasets`"
    )
    unit: Literal["image", "slice", "volume"] = Field("image", description="what is annotated at once")
    axis: Literal["x", "y", "z"] = Field(
        "z", description="array axis (canonical orientation) slices are cut along"
    )
    skip_bad: bool = Field(False, description="go on without files the integrity check names")


class Split(_Section):
    """Patients for the pool, for validation and for the test, as counts or as shares that sum to at most 1."""

    train: float = Field(0.7, gt=0, description="patients of the pool")
    val: float = Field(0.0, ge=0, description="patients set aside, never trained on or tested with")
    test: float = Field(0.3, gt=0, description="patients every cycle is measured on")
    seed: int = Field(0, description="of the draw of patients")
    by_class: bool = Field(
        False, description="of each class its share in every part, for classification; folds always are so"
    )
    given: bool = Field(True, description="keep the split a data set brings along, where it has one")
    folds: int = Field(
        0,
        ge=0,
        description="cut all patients into so many folds, 0 for none; seed s has fold s modulo folds as its test and the rest, "
        "without val, as its pool",
    )
    order: Literal["random", "sorted"] = Field(
        "random", description="folds are cut of patients in a drawn order, or in that of their ids"
    )


class Prepare(_Section):
    """Preprocessing, done once into a memory-mapped cache."""

    percentiles: tuple[float, float] = Field((1.0, 99.0), description="of each case, scaled to 0 and 1")
    window: tuple[float, float] | None = Field(
        None,
        description="values that become 0 and 1 in every case and channel, in place of percentiles: [0, 255] for photographs, "
        "[-150, 250] for soft tissue in CT",
    )
    spacing: tuple[float, ...] | None = Field(
        None, description="mm per voxel after resampling; none keeps the grid"
    )
    size: tuple[int, ...] | None = Field(
        None,
        description="pixels of the prepared units along each axis; none: the largest of the data, rounded up to 16, and "
        "of whole volumes the size each has",
    )
    fit: Literal["pad", "resize"] = Field(
        "pad", description="centre pad/crop keeps spacing; resize stretches"
    )
    crop_nonzero: bool = Field(
        False,
        description="first cut off the border of a case in which every channel is 0, as around a stripped skull; what is "
        "measured and exported has the whole grid again",
    )
    cache: Path | None = Field(
        None, description="folder of the caches; default ~/.cache/curette or CURETTE_CACHE"
    )


class Augment(_Section):
    """Random changes of a training batch, each sample its own draw; 0 switches one off."""

    rotate: float = Field(15.0, ge=0, description="largest angle, degrees")
    scale: float = Field(0.1, ge=0, lt=1, description="largest relative change of size")
    shift: float = Field(0.05, ge=0, lt=1, description="largest shift, share of the image")
    flip: tuple[Literal["x", "y", "z"], ...] = Field((), description="axes that may be mirrored")
    brightness: float = Field(0.1, ge=0, description="largest amount added")
    contrast: float = Field(0.1, ge=0, description="largest relative change around the mean")
    gamma: float = Field(0.2, ge=0, description="largest |ln gamma|")
    noise: float = Field(0.02, ge=0, description="standard deviation")
    noisy: float = Field(1.0, ge=0, le=1, description="share of the samples that get noise")
    quarters: bool = Field(
        False, description="a turn by 0, 90, 180 or 270 degrees in the plane of the first two axes"
    )
    elastic: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="standard deviation of the shift of eight control points an axis, share of the image, for half of the "
        "samples",
    )
    salt: float = Field(
        0.0, ge=0, le=1, description="share of the pixels that become the darkest or the brightest"
    )
    saturation: float = Field(0.0, ge=0, description="largest relative change of colour around grey")


class Train(_Section):
    """Network and training. By default fixed steps, so that every cycle gets the same effort."""

    model: str = Field("unet", description="a name from `curette models`")
    options: dict[str, Any] = Field(
        default_factory=dict, description="options of the network, see `curette models`"
    )
    steps: int = Field(800, ge=1, description="batches per training, however many units are labelled")
    epochs: int | None = Field(
        None, ge=1, description="passes over the labelled units per training, in place of steps"
    )
    batch: int = Field(8, ge=1, description="units per batch")
    optimiser: str = Field("adamw", description="adamw, adam or sgd, with its options: sgd(momentum=0.9)")
    lr: float = Field(1e-3, gt=0, description="peak learning rate")
    weight_decay: float = Field(1e-4, ge=0, description="of the optimiser")
    schedule: str = Field(
        "cosine",
        description="the learning rate over a training: cosine, constant, decay or epochs_cosine, with options",
    )
    warmup: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="share of the steps with rising learning rate, for schedules without their own",
    )
    clip: float = Field(1.0, ge=0, description="largest gradient norm; 0 switches clipping off")
    dice: float = Field(0.5, ge=0, le=1, description="share of the Dice loss; the rest is cross-entropy")
    loss: str = Field(
        "",
        description="terms in place of that, added up: cross_entropy(smoothing=0.1) + soft_dice; also log_dice",
    )
    crop: tuple[int, ...] | None = Field(
        None,
        description="pixels of the parts of units that are trained on, along each axis; larger units are then looked at in "
        "windows of that size; none: whole units",
    )
    foreground: float = Field(
        1 / 3, ge=0, le=1, description="share of the crops that are centred on a foreground class"
    )
    start: Literal["scratch", "finetune", "continue"] = Field(
        "scratch",
        description="each cycle from new weights, from the last, or as one training that goes on while labels are added: "
        "optimiser, epochs and learning rate too",
    )
    companions: tuple[str, ...] = Field(
        (), description="what all strategies train along, such as structure_boundary; see docs/components.md"
    )
    validate_every: int = Field(
        0,
        ge=0,
        description="look at the validation patients every so many epochs, or steps where there are no epochs; 0: never",
    )
    gain: float = Field(
        1e-3, ge=0, description="by how much a look must be better than the best to count as a gain"
    )
    patience: int = Field(
        0, ge=0, description="looks without a gain after which training ends; 0: it runs to its end"
    )
    keep: Literal["last", "best"] = Field(
        "last", description="which weights a training leaves: the last, or those of its best look"
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", description="auto: bf16 where a short probe shows that it is faster"
    )
    device: str = Field("auto", description="auto, cpu, cuda")
    augment: Augment = Augment()


_LATER = (
    "crop",
    "foreground",
    "epochs",
    "optimiser",
    "schedule",
    "loss",
    "companions",
    "validate_every",
    "gain",
    "patience",
    "keep",
)
"""Settings of training that came after the first records were made."""
_LATER_CHANGES = ("noisy", "quarters", "elastic", "salt", "saturation")


class Query(_Section):
    """How much is annotated, when."""

    initial: int | str = Field(
        10,
        description='units labelled before the first training, the same for all strategies: a number, or "10%" of the pool\'s '
        "units, rounded down but at least 1",
    )
    start: str = Field(
        "random",
        description="strategy that chooses them without a model or a label: random, strided_random, cold_kmeans …",
    )
    budget: int | str = Field(10, description='units per query: a number, or "10%" of the pool\'s units')
    total: int | str | None = Field(
        None,
        description="units that may be labelled at the end, in numbers or percent; each query then gets its even share of what "
        "initial leaves of it, in place of budget",
    )
    cycles: int = Field(5, ge=1, description="trainings; there are cycles - 1 queries")
    batch: int = Field(64, ge=1, description="units per forward pass in a sweep")
    trigger: str = Field(
        "after_training", description="when the next query is due: after_training, every(5), plateau(10)"
    )

    @field_validator("initial", "budget", "total", mode="before")
    @classmethod
    def _is_amount(cls, value: Any, info: ValidationInfo) -> int | str | None:
        least = 0 if info.field_name == "budget" else 1
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
        if found is None or not 0 < float(found[1]) <= 100:
            raise ValueError(
                f'{value!r} is neither a whole number of units, {least} or more, nor a text such as "10%", above 0 and at most '
                "100"
            )
        return f"{found[1]}%"

    @model_validator(mode="after")
    def _one_budget(self) -> Query:
        if self.total is not None and self.budget != type(self).model_fields["budget"].default:
            raise ValueError("budget and total both say how much a query takes: leave one of them out")
        return self


class Study(_Section):
    """A comparison of strategies over seeds on one data set."""

    name: str = Field("study", description="title of the report")
    strategies: tuple[str, ...] = Field(min_length=1, description="texts, see the page on strategies")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="one run of every strategy each")
    data: Data
    split: Split = Split()
    prepare: Prepare = Prepare()
    train: Train = Train()
    query: Query = Query()
    metrics: tuple[str, ...] = Field((), description="names from the docs; empty: the usual ones of the task")
    measure_val: bool = Field(
        False,
        description="measure them on the validation patients too, named dice_2d_val and so on: for tables and report alone, "
        "nothing is decided by it",
    )
    gallery: bool = Field(True, description="keep small pictures of every pick for the report")

    @field_validator("seeds", "strategies")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) != len(values):
            raise ValueError(f"the same value twice: {values}")
        if any(isinstance(value, int) and value < 0 for value in values):
            raise ValueError(f"a seed below 0: {values}")
        return values

    @model_validator(mode="after")
    def _split_is_one_kind(self) -> Study:
        if self.split.folds:
            _check_folds(self.split)
            return self
        parts = (self.split.train, self.split.val, self.split.test)
        shares = [p for p in parts if 0 < p < 1]
        if shares and any(p >= 1 for p in parts):
            raise ValueError("split: give counts of patients or shares below 1, not both")
        if shares and sum(parts) > 1 + 1e-9:
            raise ValueError(f"split: the shares sum to {sum(parts):g}, more than 1")
        return self

    def decisive(self) -> dict[str, Any]:
        """Everything that decides results: not names, places, gallery and the lists of seeds and strategies.

        A setting that came later is left out where it says what was done before it came, so that older records still fit.
        """
        query = _unchanged(self.query, "start", "trigger", "total")
        return self.model_dump(
            mode="json",
            exclude=_unchanged(self, "measure_val")
            | {
                "name": True,
                "gallery": True,
                "seeds": True,
                "strategies": True,
                "prepare": {"cache": True} | _unchanged(self.prepare, "window", "crop_nonzero"),
                "data": {"root": True},
                "query": query,
                "split": _unchanged(self.split, "by_class", "folds", "order"),
                "train": _unchanged(self.train, *_LATER)
                | {"augment": _unchanged(self.train.augment, *_LATER_CHANGES)},
            },
        )

    def digest(self) -> str:
        """Hash of `decisive`."""
        return hashlib.sha256(json.dumps(self.decisive()).encode()).hexdigest()[:16]


def load_study(path: Path, **changes: Any) -> Study:
    """Read a study file; relative paths in it are relative to it. `changes` replace top-level fields.

    Raises `SettingError` naming the file and the setting, with the nearest known setting for a misspelt one.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomlkit.parse(text).unwrap()
    except FileNotFoundError:
        raise SettingError(f"There is no study file {path}. Write one, or start from examples/.") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingError(f"{path} cannot be read: {problem}.") from None
    except tomlkit.exceptions.ParseError as problem:
        raise SettingError(f"{path} is not valid TOML: {problem}.") from None
    study = parse_study(raw | changes, str(path))
    return study.model_copy(
        update={
            "data": study.data.model_copy(update={"root": _beside(path, study.data.root)}),
            "prepare": study.prepare.model_copy(update={"cache": _beside(path, study.prepare.cache)}),
        }
    )


def parse_study(raw: Mapping[str, Any], source: str = "study") -> Study:
    """Check a mapping against the study model. Raises one `SettingError` that lists every wrong setting."""
    try:
        return Study.model_validate(raw)
    except ValidationError as problem:
        lines = [_explain(error) for error in problem.errors()]
        told = "; ".join(lines)
        raise SettingError(f"{source}: {told}{'' if told.endswith('?') else '.'}") from None


def dump_study(study: Study) -> str:
    """Write a study as TOML, every setting spelt out; `parse_study` reads it back equal."""
    return tomlkit.dumps(study.model_dump(mode="json", exclude_none=True))


def _unchanged(section: BaseModel, *names: str) -> dict[str, bool]:
    """Those of these settings that say what is done without them."""
    fields = type(section).model_fields
    return {name: True for name in names if getattr(section, name) == fields[name].default}


def _check_folds(split: Split) -> None:
    if split.folds == 1:
        raise ValueError("split: a single fold leaves no pool. Set folds to 2 or more, or to 0 for none")
    fields = type(split).model_fields
    if set_too := [name for name in ("train", "test") if getattr(split, name) != fields[name].default]:
        raise ValueError(
            f"split: {' and '.join(set_too)} and folds both say who is tested: leave {' and '.join(set_too)} out"
        )


def _beside(file: Path, path: Path | None) -> Path | None:
    return None if path is None else (file.parent / path.expanduser()).resolve()


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        model: Any = Study
        for part in error["loc"][:-1]:
            model = model.model_fields[part].annotation
        return f"there is no setting '{where}'.{nearest(str(error['loc'][-1]), model.model_fields)}".rstrip(
            "."
        )
    told = str(error["msg"]).removeprefix("Value error, ")
    return f"setting '{where}': {told}" if where else told
