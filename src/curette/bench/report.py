"""The report of a study: one self-contained HTML file that works from disk, on a phone, in print and without scripts."""

from __future__ import annotations

from pathlib import Path

from curette.bench.beside import load_beside
from curette.bench.curves import looks, picture
from curette.bench.facts import load_facts
from curette.bench.record import read_record
from curette.bench.sections import differences, page
from curette.bench.summary import caveats, curves
from curette.bench.tables import write_text
from curette.bench.trace import read_trace
from curette.bench.wording import label, plural
from curette.errors import DataError


def build_report(folder: Path) -> Path:
    """Write ``report.html`` from what a study folder holds, finished or not, and return its path.

    Needs ``study.toml``; the tables, ``ledger.db``, ``data.json``, ``paper.json`` and ``gallery/`` are used where they are. Raises
    `DataError` naming a file that is damaged, `SettingError` when the folder cannot be written to.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    folder = Path(folder)
    context = page(read_record(folder), load_facts(folder), read_trace(folder))
    context["beside"] = load_beside(folder)
    environment = Environment(
        loader=PackageLoader("curette.bench", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html").render(context)
    path = folder / "report.html"
    write_text(path, html)
    return path


def draw_summary(folder: Path, path: Path) -> Path:
    """Write the figure of a study for a paper or README: learning curves and areas against random.

    The suffix of `path` gives the format (png, svg, pdf …). Raises `DataError` when there is nothing to draw yet.
    """
    record = read_record(Path(folder))
    if not record.metrics:
        raise DataError(f"{folder} has no results yet: no training has been evaluated.")
    metric = record.metrics[0]
    cls = record.classes(metric)[0]
    name, _ = label(metric)
    title = ", ".join((record.study.name, *caveats(record)))
    return picture(
        path,
        curves(record, metric, cls),
        differences(record, metric, cls),
        looks(record.strategies, record.control),
        title=title,
        ylabel=f"{name}, {cls}",
        xlabel=f"labelled {plural(record.what)}",
        control=record.control,
    )
