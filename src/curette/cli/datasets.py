"""The command ``curette datasets``: what layouts there are, fetching one, and checking what is on disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curette.cli import catalogue
from curette.cli.listing import print_facts, print_wrapped
from curette.cli.terminal import Meter, print_json
from curette.errors import SettingError

FACTS = ("task", "layout", "size", "source", "licence", "paper")


def list_datasets(as_json: bool) -> None:
    """All layouts, with what each is for and under which licence."""
    found = catalogue.datasets()
    if as_json:
        print_json({"datasets": found})
        return
    width = max(72, shutil.get_terminal_size((100, 24)).columns)
    licence = 26
    rows = [(c["name"], "\n".join((c["task"], c["size"])), c["licence"]) for c in found]
    print("Data sets (data.dataset)")
    print_wrapped(
        [("name", "task and size", "licence"), *rows], [14, width - 14 - licence - 4, licence], emphasis=0
    )
    print("\nAsk about one: curette datasets NAME")


def show_dataset(name: str, as_json: bool) -> None:
    """All there is to know of one layout."""
    card = catalogue.dataset(name)
    if as_json:
        print_json(card)
        return
    rows = {"what it is": card["summary"], **{key: card[key] for key in FACTS}}
    rows["options"] = "\n".join(catalogue.options(card))
    rows["download"] = _parts(name, card["parts"])
    print_facts(name, rows)


def _parts(name: str, parts: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    if not parts:
        return "no public direct address; see source"
    unchecked = [f["url"] for files in parts.values() for f in files if not f["checksum"]]
    told = f"curette datasets {name} --download DIR --part PART, where PART is {', '.join(parts)}"
    return told + (f"\nno checksum is published for {', '.join(unchecked)}" if unchecked else "")


def download_dataset(name: str, folder: Path, part: str, as_json: bool) -> None:
    """Fetch a part of a data set and say where it lies."""
    from curette.data.addresses import download

    with Meter(quiet=as_json) as meter:
        found = download(name, part, folder, meter.bytes)
    if as_json:
        print_json({"dataset": name, "part": part, "paths": [str(p) for p in found]})
    else:
        for path in found:
            print(path)


def check_dataset(name: str, root: Path, options: Sequence[str], as_json: bool) -> bool:
    """Check a data set on disk, say what is wrong with which files, and return whether it is whole."""
    from curette.data.integrity import examine
    from curette.recipe import Data

    data = Data(dataset=name, root=root, options=data_options(options))
    with Meter(quiet=as_json) as meter:
        found = examine(data, meter.check)
    if as_json:
        problems = [
            {"kind": kind, "file": f} for kind, files in found.problems.items() for f in sorted(files)
        ]
        print_json(
            {
                "dataset": name,
                "root": str(root),
                "whole": found.whole,
                "cases": found.cases,
                "patients": found.patients,
                "problems": problems,
                "notes": list(found.notes),
            }
        )
        return found.whole
    for kind, files in found.problems.items():
        print(f"{kind} ({len(files)}):")
        for file in sorted(files):
            print(f"  {file}")
    for note in found.notes:
        print(f"note: {note}")
    bad = sum(map(len, found.problems.values()))
    verdict = f"{bad} problem{'s' * (bad > 1)}" if bad else "whole"
    print(f"{name} in {root}: {verdict}; {found.cases} cases of {found.patients} patients can be used")
    return found.whole


def data_options(texts: Sequence[str]) -> dict[str, Any]:
    """Options of a data set from texts ``KEY=VALUE`` of the command line. Raises `SettingError` for another form."""
    return dict(_option(text) for text in texts)


def _option(text: str) -> tuple[str, Any]:
    """``KEY=VALUE`` as in a study file; a value that is no TOML is a text."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SettingError(f"--option '{text}' must be KEY=VALUE, such as set=pneumoniamnist.")
    try:
        return key.strip(), tomlkit.parse(f"value = {value}").unwrap()["value"]
    except TOMLKitError:
        return key.strip(), value.strip()
