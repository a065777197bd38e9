"""What is to be learned: kind, dimensions, classes, channels."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

Kind = Literal["classification", "segmentation"]


class Task(BaseModel):
    """Kind of task, spatial dimensions of the images, class names with their values in label files, and channels.

    `classes` maps name → value in the label files; the order gives the training index, so index 0 is background in
    segmentation. `ignore` is the training value of voxels without an annotation: they touch neither loss nor metric.
    `ordinal` and instance labels are out of scope.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    dims: Literal[2, 3]
    classes: dict[str, int]
    channels: tuple[str, ...] = ("image",)
    ignore: int = 255

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: dict[str, int]) -> dict[str, int]:
        if len(classes) < 2:
            raise ValueError("a task needs at least two classes (background counts in segmentation)")
        if len(set(classes.values())) != len(classes):
            raise ValueError(f"two classes share a label value: {classes}")
        return classes

    @model_validator(mode="after")
    def _ignore_is_free(self) -> Task:
        if self.ignore in range(len(self.classes)):
            raise ValueError(f"the ignore value {self.ignore} is also a class index")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in training order."""
        return tuple(self.classes)

    @property
    def foreground(self) -> tuple[str, ...]:
        """The classes that metrics average over: all but background in segmentation, all in classification."""
        return self.names[1:] if self.kind == "segmentation" else self.names
