"""Write the reference pages that are made from the code: settings, strategies, data sets, networks, metrics and papers.

Run by `make docs`; `tests/test_docs.py` fails while the committed pages differ from what this writes.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from markup import page, table
from paperpages import reproduce_page
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from strategypages import navigation, strategy_pages

from curette.cli import catalogue
from curette.recipe import Study
from curette.registry import components

HERE = Path(__file__).resolve().parent
CONFIG = HERE.parent / "mkdocs.yml"
BEGIN, END = "  # written by docs/generate.py", "  # end of what docs/generate.py writes"

SINGULAR = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
PLURAL = {str: "texts", int: "whole numbers", float: "numbers"}

PRETRAINED = """### Pretrained weights

The option `pretrained` of a network with a ResNet in it:

| value | weights | where they come from |
| --- | --- | --- |
| `"imagenet"` | of photographs, for 2D | torchvision's `resnet18-f37072fd.pth`, `resnet34-b627a593.pth`, `resnet50-0676ba61.pth` |
| `"medicalnet"` | of 23 sets of CT and MR volumes, for 3D | MedicalNet's `resnet_18_23dataset.pth`, `resnet_34_…`, `resnet_50_…` on Hugging Face |
| a path, from the working directory | of a file that `torch.save` wrote | a state dict in torchvision's or MedicalNet's names |
| `""`, the default | random | |

Published files are downloaded once, into `weights/` of the cache (`CURETTE_CACHE`), and their SHA-256 is compared with the
known one each time (of torchvision's ResNet-34 the eight digits in its name; of MedicalNet's ResNet-34 and -50 none is
known). Without a network, put the file there or name it; or leave the option out. A file must fit name by name, apart from its last layer; what does not is listed. For other
numbers of channels, the first convolution's filters are averaged over the file's channels and scaled, so that a grey image
gives what three equal channels would. Images are between 0 and 1; before ImageNet's weights they become
(image - mean) / deviation of ImageNet's colours, or of their averages where there are not three channels. The option
`normalise` says otherwise; with a file of torchvision's weights say `normalise = "imagenet"`."""


def pages() -> dict[str, str]:
    """The text of every generated page by file name."""
    return {
        "settings.md": settings_page(),
        "components.md": components_page(),
        "reproduce.md": reproduce_page(),
        **strategy_pages(),
    }


def config() -> str:
    """The text of ``mkdocs.yml`` with all strategies in its navigation."""
    head, rest = CONFIG.read_text(encoding="utf-8").split(BEGIN)
    return head + BEGIN + "\n".join(["", *navigation(), ""]) + END + rest.split(END)[1]


def settings_page() -> str:
    """Every setting of a study file, section by section."""
    out = [
        "# Settings",
        "A study file is TOML. Only `strategies` and `data.dataset` have no default. A setting that does not exist is an "
        "error that suggests the nearest one; `study.toml` in a study's folder spells all of them out as they were used.",
    ]
    for path, model in sections(Study):
        title = f"`[{path}]`" if path else "Top level"
        rows = [_setting(name, field) for name, field in model.model_fields.items() if not _section(field)]
        out += [
            f"## {title}",
            (model.__doc__ or "").strip(),
            table(("setting", "type", "default", "meaning"), rows),
        ]
    return page(out)


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """A settings model and those inside it, each with its TOML section."""
    yield path, model
    for name, field in model.model_fields.items():
        if inner := _section(field):
            yield from sections(inner, f"{path}.{name}" if path else name)


def components_page() -> str:
    """Data sets, networks and metrics with their options."""
    import curette.learn.metrics  # (these register what is listed)
    import curette.learn.objective
    import curette.learn.optimisers
    import curette.learn.schedules  # noqa: F401

    metrics = [catalogue.describe(c) for c in components("metric").values()]
    return page(
        [
            "# Data sets, networks, training, metrics",
            "## Data sets",
            "For `data.dataset`, with `data.options`. Formats are described under [Data](data.md).",
            _cards(catalogue.datasets()),
            "## Networks",
            "For `train.model`, with `train.options`. Weights are counted in 2D and 3D, for one channel and two classes.",
            _networks(),
            PRETRAINED,
            "## Losses",
            "For `train.loss`, added up: `cross_entropy(smoothing=0.1) + soft_dice`. Each is multiplied by its `weight`.",
            _cards([catalogue.describe(c) for c in components("loss").values()]),
            "## Optimisers",
            "For `train.optimiser`; rate and weight decay are settings of their own.",
            _cards([catalogue.describe(c) for c in components("optimiser").values()]),
            "## Schedules",
            "For `train.schedule`, the learning rate over a training as a share of `train.lr`.",
            _cards([catalogue.describe(c) for c in components("schedule").values()]),
            "## Metrics",
            "For `metrics`; without it, all usual ones that fit the task. Rules are under [Metrics](metrics.md).",
            _cards(metrics),
        ]
    )


def _cards(cards: Iterable[dict[str, Any]]) -> str:
    rows = [(f"`{catalogue.form(c)}`", c["summary"], c["paper"]) for c in cards]
    return table(("name and options", "what it is", "paper"), rows)


def _networks() -> str:
    rows = [
        (f"`{catalogue.form(c)}`", ", ".join(c["kinds"]), catalogue.weights(c), c["summary"], c["paper"])
        for c in catalogue.models()
    ]
    return table(("name and options", "for", "weights", "what it is", "paper"), rows)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _setting(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    limits = [_limit(m) for m in field.metadata]
    meaning = "; ".join(part for part in (field.description or "", ", ".join(filter(None, limits))) if part)
    return f"`{name}`", type_text(field.annotation), _default(field), meaning


def type_text(kind: Any) -> str:
    """A type as a user of TOML thinks of it: ``number``, ``list of texts``, ``"pad" or "resize"``."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(f'`"{v}"`' for v in inner)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_text(k) for k in inner if k is not types.NoneType)
    if origin is tuple:
        count = "list" if Ellipsis in inner else {2: "two", 3: "three"}.get(len(inner), str(len(inner)))
        of = PLURAL.get(inner[0]) or type_text(inner[0])
        return f"list of {of}" if count == "list" else f"{count} {of}"
    if origin is dict:
        return "table"
    return SINGULAR[kind]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _limit(rule: Any) -> str:
    signs = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "min_length": "at least"}
    return ", ".join(
        f"{sign} {getattr(rule, name):g}" + (" entry" if name == "min_length" else "")
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    )


def write() -> None:
    """Write all pages and the navigation, and delete pages of strategies that are no more."""
    wanted = pages()
    for folder in ("strategies", "parts"):
        (HERE / folder).mkdir(exist_ok=True)
        for old in (HERE / folder).glob("*.md"):
            if f"{folder}/{old.name}" not in wanted:
                old.unlink()
    for name, text in wanted.items():
        (HERE / name).write_text(text, encoding="utf-8")
    CONFIG.write_text(config(), encoding="utf-8")


if __name__ == "__main__":
    write()
