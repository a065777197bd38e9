"""Write what a reproduced part of a paper has measured into its page under docs/results.

    python docs/resultpages.py RUN docs/results/PAGE.md

RUN is the folder that `curette reproduce` wrote. What stands between the two markers of the page is replaced; the words
around them are kept. A page without markers gets them at its end.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from curette.bench.beside import load_beside
from curette.bench.wording import VALIDATION

BEGIN, END = "<!-- measured: written by docs/resultpages.py -->", "<!-- /measured -->"


def main() -> None:
    run, page = (Path(given) for given in sys.argv[1:])
    found = load_beside(run)
    if found is None:
        raise SystemExit(f"{run} holds no paper.json; give the folder of a `curette reproduce`.")
    # Where every row is an arm of its own there is no study in the folder itself.
    drawn = curves(run, found) if (run / "results.csv").exists() else []
    lines = [*drawn, *tables(found), *orders(found)]
    text = page.read_text(encoding="utf-8") if page.exists() else f"# {found['title']}\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text("\n".join([before + BEGIN, "", *lines, END + after]), encoding="utf-8")
    print(verdicts(found))


def curves(run: Path, found: dict[str, Any]) -> list[str]:
    """Means over seeds at every training of the main study, of the metric that comes first in the paper's tables and was measured on
    the test."""
    values: dict[str, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    labelled: dict[int, int] = {}
    with (run / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    measured = {row["metric"] for row in rows if not row["metric"].endswith(VALIDATION)}
    metric = next(c["metric"] for t in found["tables"] for c in t["columns"] if c["metric"] in measured)
    for row in rows:
        if row["metric"] == metric and row["class"] == "mean":
            values[row["strategy"]][int(row["cycle"])][int(row["seed"])] = float(row["value"])
            labelled[int(row["cycle"])] = int(row["labelled"])
    names: dict[
        str, str
    ] = {}  # where several rows have one strategy, the first: the others are of other arms
    for table in found["tables"]:
        for row in table["rows"]:
            names.setdefault(row["strategy"], row["name"])
    cycles = sorted(labelled)
    seeds = len({row["seed"] for row in rows})
    lines = [
        f"## Learning curves: `{metric}`",
        "",
        f"Mean over classes; mean ± deviation over {seeds} seeds; columns are numbers of labelled units.",
        "",
        "| | " + " | ".join(str(labelled[c]) for c in cycles) + " |",
        "|---" * (len(cycles) + 1) + "|",
    ]
    for strategy, by_cycle in sorted(values.items(), key=lambda item: list(names).index(item[0])):
        cells = [shown(list(by_cycle[c].values())) for c in cycles]
        lines.append(f"| {names[strategy]} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def shown(values: list[float]) -> str:
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{fmean(values):.3f}{spread}" if values else "–"


def tables(found: dict[str, Any]) -> list[str]:
    """The paper's tables with our numbers, the paper's in brackets."""
    lines = []
    for table in found["tables"]:
        names = [column["name"] for column in table["columns"]]
        lines += [f"## {table['title']}", "", "Ours, and in brackets the paper's.", ""]
        lines += ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        for row in table["rows"]:
            cells = [f"{c['shown']['ours']} ({c['shown']['paper']})" for c in row["cells"]]
            lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
        lines += [""]
    return lines


def orders(found: dict[str, Any]) -> list[str]:
    """Every order the paper claims: its difference, ours with its interval, and the verdict."""
    lines = [
        "## Orders",
        "",
        verdicts(found),
        "",
        "| table | metric | pair | the paper's | ours | 95 % interval | p | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for o in found["orderings"]:
        metric = o["metric"] + ("" if o["class"] == "mean" else f", {o['class']}")
        cells = [
            o["table"],
            metric,
            f"{o['better']} against {o['worse']}",
            *o["shown"].values(),
            o["verdict"],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def verdicts(found: dict[str, Any]) -> str:
    """How many of the orders appear, and how many of those beyond the noise of seeds.

    Rows that are one strategy here make one comparison of several orders; where these have one outcome, they are one.
    """
    asked = [o for o in found["orderings"] if o["appears"] is not None]
    known = list({_comparison(found, o): o for o in asked}.values())
    there = [o for o in known if o["appears"]]
    sure, against = (
        sum(bool(o["beyond_noise"]) for o in some) for some in (there, [o for o in known if not o["appears"]])
    )
    twice = f" ({len(asked)} lines below, where rows that are one strategy here repeat some)"
    return (
        f"Of {len(known)} orders that the paper prints and that were measured{twice * (len(asked) > len(known))}, "
        f"{len(there)} appear, {sure} of them beyond the "
        f"seed noise (their 95 % interval excludes 0); {len(known) - len(there)} are reversed, {against} of them beyond the noise."
    )


def _comparison(found: dict[str, Any], order: dict[str, Any]) -> tuple[Any, ...]:
    """What was compared: strategies, metric and class, and the numbers, which tell apart what the same strategy
    did on other budgets or with all labels."""
    rows = next(table["rows"] for table in found["tables"] if table["name"] == order["table"])
    strategy = {row["name"]: row["strategy"] for row in rows}
    pair = strategy[order["better"]], strategy[order["worse"]]
    numbers = [round(order[key] or 0.0, 6) for key in ("difference_ours", "low", "high")]
    return (*pair, order["metric"], order["class"], *numbers, order["appears"])


if __name__ == "__main__":
    main()
