"""Label values in files ↔ training indices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import DataError, SettingError
from curette.task import Task

_TABLE = 1 << 16  # a look-up table is the fastest way as long as the values lie this close together


def background_first(classes: Mapping[str, int], where: str) -> dict[str, int]:
    """Classes and their values, that of the background first: the class of this name, else the one with value 0.

    Raises `SettingError` that begins with `where` when there is neither.
    """
    zero = (name for name, value in classes.items() if value == 0)
    first = "background" if "background" in classes else next(zero, None)
    if first is None:
        raise SettingError(
            f"{where}: no class is the background. Name one 'background', or give one the value 0."
        )
    return {first: classes[first], **classes}


def encode(raw: NDArray[Any], task: Task, name: str) -> NDArray[np.uint8]:
    """Turn raw label values into training indices of the same shape.

    A value equal to `Task.ignore` that no class claims stays the ignore value: not annotated. Raises `DataError` naming
    the file, the unknown values and the known classes for anything else.
    """
    known = {value: index for index, value in enumerate(task.classes.values())}
    known.setdefault(task.ignore, task.ignore)
    if raw.size == 0:
        return np.zeros(raw.shape, np.uint8)
    low, high = int(raw.min()), int(raw.max())
    if high - low < _TABLE:
        table = np.full(high - low + 1, -1, np.int16)
        for value, index in known.items():
            if low <= value <= high:
                table[value - low] = index
        found = table[raw.astype(np.int64) - low]
    else:
        found = np.full(raw.shape, -1, np.int16)
        for value, index in known.items():
            found[raw == value] = index
    strange = found < 0
    if strange.any():
        values = np.unique(raw[strange])
        shown = ", ".join(str(v) for v in values[:10].tolist()) + (" …" if len(values) > 10 else "")
        classes = ", ".join(f"{c} = {v}" for c, v in task.classes.items())
        hint = " JPEG changes values: save labels as PNG." if name.lower().endswith((".jpg", ".jpeg")) else ""
        raise DataError(
            f"{name} holds {len(values)} unknown label value{'s' * (len(values) > 1)} ({shown}) in "
            f"{int(strange.sum())} places. Known classes: {classes}; {task.ignore} means not annotated.{hint}"
        )
    return found.astype(np.uint8)


def decode(indices: NDArray[Any], task: Task) -> NDArray[np.int64]:
    """Turn training indices back into the label values of files; the ignore value stays. The inverse of `encode`."""
    table = np.full(256, task.ignore, np.int64)
    table[: len(task.classes)] = list(task.classes.values())
    values: NDArray[np.int64] = table[indices]
    return values
