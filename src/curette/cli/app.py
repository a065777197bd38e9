"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import curette
from curette.cli.terminal import Meter, print_json, print_table, say_error, show_warnings
from curette.errors import CuretteError, SettingError

if TYPE_CHECKING:
    from curette.recipe import Study

STOPPED = 130
WRONG = 2


class _Commands(TyperGroup):
    """Turns what a user can put right into one paragraph and exit code 2, and Ctrl-C into a word on how to go on."""

    def invoke(self, ctx: Any) -> Any:
        show_warnings()
        try:
            return super().invoke(ctx)
        except CuretteError as problem:
            say_error(str(problem))
            raise typer.Exit(WRONG) from None
        except KeyboardInterrupt:
            print("stopped; run the same command to go on", file=sys.stderr)
            raise typer.Exit(STOPPED) from None


app = typer.Typer(
    cls=_Commands,
    name="curette",
    help="Find the few medical images worth annotating.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
Workers = Annotated[
    int, typer.Option("--workers", "-w", metavar="N", help="Processes to run in.", show_default=True)
]


def main() -> None:
    """Entry point of the command ``curette``."""
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"curette {curette.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Find the few medical images worth annotating."""


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", metavar="N", help="Processes to run in; default: cores, at most 4."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare four strategies on built-in data, in a minute or two."""
    from curette.cli.demo import demo_folder, demo_study
    from curette.cli.doctor import cores

    _run(demo_study(), demo_folder(out), min(cores(), 4) if workers is None else workers, as_json)


@app.command()
def run(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.toml", help="The study: data, training, strategies, seeds.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to; default runs/NAME.")
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy", "-s", metavar="TEXT", help="One more strategy than the file has; may be repeated."
        ),
    ] = None,
    workers: Workers = 1,
    as_json: Json = False,
) -> None:
    """Run a study, or go on with it where it was; ends with a table and a report."""
    from curette.recipe import load_study

    loaded = load_study(study)
    more = [text for text in dict.fromkeys(strategy or ()) if text not in loaded.strategies]
    if more:
        loaded = load_study(study, strategies=[*loaded.strategies, *more])
    _run(loaded, out or Path("runs") / _file_name(loaded.name), workers, as_json)


@app.command()
def reproduce(
    paper: Annotated[
        str | None,
        typer.Argument(
            metavar="[PAPER]", help="pcdal, sbc-al, stochastic-batches, paal or melanoma; none: a list."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", metavar="DIR", help="Folder or file of the part's data.")
    ] = None,
    part: Annotated[
        str, typer.Option("--part", metavar="NAME", help="Experiment of the paper; default the first.")
    ] = "",
    scale: Annotated[
        str,
        typer.Option(
            "--scale", metavar="SCALE", help="full (the paper's settings) or small (for two cores)."
        ),
    ] = "full",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder to write to; default runs/PAPER-PART-SCALE."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", metavar="N", help="Processes to run in; default: cores, at most 4."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", help="Seeds instead of the recipe's: 0 to N - 1.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="STRATEGY", help="Only this row or strategy; may be repeated."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on without files that are missing or damaged.")
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="KEY=VALUE", help="Option of the data set: partial=true …; may be repeated."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a paper's experiment, or go on with it, and put our table beside the paper's."""
    from curette.cli.reproduce import list_papers, reproduce_paper

    if paper is None:
        if data or part or out or only or option or skip_bad or seeds is not None:
            raise SettingError("Say which paper: curette reproduce PAPER --data DIR.")
        list_papers(as_json)
        return
    reproduce_paper(
        paper,
        part,
        scale,
        data,
        out,
        workers=workers,
        seeds=seeds,
        only=tuple(only or ()),
        skip_bad=skip_bad,
        options=tuple(option or ()),
        as_json=as_json,
    )


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study, finished or not.")],
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Also draw a figure for a paper: .png, .svg, .pdf …"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Rebuild the tables and report.html of a study from what is there."""
    from curette.bench.report import build_report, draw_summary

    _tables(folder)
    path = build_report(folder)
    drawn = draw_summary(folder, picture) if picture else None
    _outcome(folder, path, as_json, picture=None if drawn is None else str(drawn))


@app.command()
def strategies(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only this one, with all there is to know of it.")
    ] = None,
    family: Annotated[
        str | None,
        typer.Option("--family", "-f", metavar="FAMILY", help="Only these: one-pass, many-passes, hybrid …"),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the query strategies, and the parts to make others from."""
    from curette.cli import catalogue
    from curette.cli.listing import print_parts, print_strategies, print_strategy

    if name is not None and family is not None:
        raise SettingError(f"Give a NAME or --family, not both. '{name}' alone tells its family.")
    only = None if family is None else catalogue.family(family)
    if as_json:
        print_json(catalogue.strategies(only) if name is None else catalogue.strategy(name))
    elif name is not None:
        print_strategy(name)
    elif only is not None:
        print_strategies(only)
    else:
        print_strategies()
        print_parts(catalogue.strategies()["parts"])


@app.command()
def datasets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only this one, with all there is to know of it.")
    ] = None,
    download: Annotated[
        Path | None, typer.Option("--download", metavar="DIR", help="Download it to this folder.")
    ] = None,
    part: Annotated[
        str, typer.Option("--part", metavar="PART", help="What of it to download: Task04_Hippocampus …")
    ] = "",
    check: Annotated[
        Path | None, typer.Option("--check", metavar="DIR", help="Read every file of it in this folder.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="As data.options, for --check; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the data sets that can be opened; download one, or check its files."""
    from curette.cli.datasets import check_dataset, download_dataset, list_datasets, show_dataset

    if name is None:
        if download or check or part or option:
            raise SettingError("Say which data set: curette datasets NAME --download DIR, or --check DIR.")
        list_datasets(as_json)
    elif download is not None and check is not None:
        raise SettingError(
            "Give --download or --check, not both: download first, then check the folder it names."
        )
    elif download is not None:
        download_dataset(name, download, part, as_json)
    elif check is not None:
        if not check_dataset(name, check, option or (), as_json):
            raise typer.Exit(WRONG)
    else:
        show_dataset(name, as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the networks that can be trained."""
    from curette.cli import catalogue

    found = catalogue.models()
    if as_json:
        print_json({"models": found})
    else:
        rows = [
            (catalogue.form(c), ", ".join(c["kinds"]), catalogue.weights(c), c["summary"], c["paper"])
            for c in found
        ]
        header = ("name", "for", "weights 2D / 3D", "what it is", "paper")
        print_table("Networks (train.model, train.options)", header, rows)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show what works on this machine and what to install for the rest."""
    from curette.cli.doctor import examine, healthy, plain

    findings = examine()
    if as_json:
        print_json(plain(findings))
    else:
        print_table(
            "curette doctor",
            ("", "state", "found", "what to do"),
            [(f.what, f.state, f.found, f.advice) for f in findings],
        )
    if not healthy(findings):
        raise typer.Exit(WRONG)


def _run(study: Study, folder: Path, workers: int, as_json: bool) -> None:
    from curette.bench.report import build_report
    from curette.bench.study import run_study

    try:
        with Meter(quiet=as_json) as meter:
            run_study(study, folder, workers=workers, on_progress=meter.step, on_prepare=meter.prepare)
    except CuretteError:
        if (folder / "results.csv").is_file():
            build_report(folder)
        raise
    _outcome(folder, build_report(folder), as_json)


def _tables(folder: Path) -> None:
    """Write the CSV files anew where there is a ledger to write them from."""
    from contextlib import closing

    from curette.bench.folder import StudyFolder
    from curette.bench.tables import write_tables

    place = StudyFolder(folder)
    if not place.study.is_file():
        raise SettingError(
            f"{folder} is no study folder: it has no study.toml. Give the folder `curette run` wrote to."
        )
    if place.ledger.is_file():
        with closing(place.open_ledger()) as ledger:
            write_tables(ledger, folder)


def _outcome(folder: Path, path: Path, as_json: bool, **more: Any) -> None:
    from curette.bench.protocol import protocol
    from curette.bench.record import read_record
    from curette.bench.summary import summary
    from curette.bench.trace import read_trace

    record, trace = read_record(folder), read_trace(folder)
    found = summary(record, trace) | {"report": str(path)} | more
    if as_json:
        print_json(found)
        return
    if found["strategies"]:
        title = f"{found['study']}: {found['metric']}, {found['class']}"
        header = ["strategy", "final", "area"]
        header += [f"difference to {found['control']}", "95 % interval"] if found["control"] else []
        rows = [_line(s, bool(found["control"])) for s in found["strategies"]]
        print_table(title, header, rows, numbers=len(header) - 1)
    for term, value in protocol(record, trace):
        print(f"{term.lower()}: {value}")
    for caveat in found["caveats"]:
        print(f"note: {caveat}")
    for name in ("report", "picture"):
        if found.get(name):
            print(f"{name}: {found[name]}")


def _line(row: dict[str, Any], compared: bool) -> list[str]:
    cells = [row["strategy"], _spread(row["final"]), _spread(row["aubc"])]
    if compared:
        d = row["difference"]
        interval = "" if not d or d["low"] is None else f"{d['low']:+.3f} to {d['high']:+.3f}"
        cells += [f"{d['mean']:+.3f}" if d else "", interval]
    return cells


def _spread(value: dict[str, float | None] | None) -> str:
    if value is None:
        return "–"
    return f"{value['mean']:.3f}" + ("" if value["sd"] is None else f" ± {value['sd']:.3f}")


def _cards(title: str, cards: Sequence[dict[str, Any]]) -> None:
    from curette.cli.catalogue import form

    rows = [(form(card), card["summary"], card["paper"]) for card in cards]
    print_table(title, ("name", "what it is", "paper"), rows)


def _file_name(name: str) -> str:
    """A folder name for a study, without what some file systems refuse."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "-", name).strip(" .-") or "study"
