"""The built-in demonstration: a small study on made-up patients that takes a minute or two on a laptop."""

from __future__ import annotations

from pathlib import Path

from curette.recipe import Study, load_study, parse_study

FOLDER = "curette-demo"
STRATEGIES = ("random", "entropy", "bald > stochastic_batches", "core_set")


def demo_study() -> Study:
    """Four strategies, two seeds, four cycles on slices of the data set ``phantom``."""
    return parse_study(
        {
            "name": "curette demo",
            "strategies": list(STRATEGIES),
            "seeds": [0, 1],
            "data": {"dataset": "phantom", "unit": "slice", "options": {"patients": 20}},
            "split": {"train": 12, "test": 8},
            "train": {"steps": 100, "batch": 8},
            "query": {"initial": 10, "budget": 10, "cycles": 4},
        },
        "the demo",
    )


def demo_folder(wanted: Path | None) -> Path:
    """The folder to use: `wanted`, else ``curette-demo`` here, or the next free ``curette-demo-2`` … if it holds something else.

    A folder that holds this demo, finished or not, is used again, so that an interrupted demo goes on.
    """
    if wanted is not None:
        return wanted
    number = 1
    while True:
        folder = Path(FOLDER if number == 1 else f"{FOLDER}-{number}")
        if not folder.exists() or _holds_demo(folder) or (folder.is_dir() and not any(folder.iterdir())):
            return folder
        number += 1


def _holds_demo(folder: Path) -> bool:
    from curette.errors import CuretteError

    try:
        found = load_study(folder / "study.toml")
    except CuretteError:
        return False
    demo = demo_study()
    return (found.digest(), found.name) == (demo.digest(), demo.name)
