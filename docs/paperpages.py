"""The page on reproducing papers: parts, rows and choices are those of the recipes."""

from __future__ import annotations

from markup import page, table

from curette.papers import PAPERS
from curette.papers.paper import Paper, Part

_INTRO = """Five papers this system implements can be run at one command:

```
curette reproduce stochastic-batches --data data/Task04_Hippocampus --scale small
curette reproduce pcdal --part phantom --scale small
curette reproduce
```

The last one lists papers and parts. A part is an ordinary study (`study.toml` in its folder has every setting), whose
strategies are the rows of the paper's table, so that it can be stopped and goes on like any other. At the end our table stands
beside the paper's in `paper.md`, `paper.csv`, `paper.json` and `report.html`. Options and files are under
[Command line](cli.md#reproduce)."""

_SCALES = """## Two scales

`--scale full`, the default, has the settings of the paper, or of its release where the paper is silent: network, sizes,
optimiser, schedule, epochs, augmentation, budgets, initial sets, folds. It wants a graphics card and takes hours to days.
Where it departs from them, the choices below say so. One departure is common to all papers: before a training from new
weights the last layer's bias is set to the logarithms of the classes' shares, which loses rare classes less often in the
first batches.

`--scale small` keeps the strategies, and cuts images, networks, patients, batches and seeds down, and in some papers the
budgets and the protocol too: SBC-AL has five of its nine budgets, melanoma 8 of 37 trainings on ISIC 2018 and 10 on made-up
photographs, PAAL ends at 20 % and has neither folds, early stopping nor its schedule, PCDAL has no validation. The choices
say what each keeps. On two cores, beside other work, PAAL on the hippocampus took about 70 minutes, SBC-AL there 65, PCDAL
on X-rays 55, Stochastic Batches 44, PAAL on made-up slices 30, PCDAL on made-up volumes 15, PCDAL and melanoma on
made-up slices about 10. Levels are lower than the paper's and say nothing; orders may. What came of it here:
[Stochastic Batches](results/stochastic-batches.md), SBC-AL on [hippocampus](results/sbc-al.md) and [made-up
slices](results/sbc-al-phantom.md), [its refinement](results/sbc-al-refinement.md), PAAL on [hippocampus](results/paal.md) and
[made-up slices](results/paal-phantom.md), PCDAL on [volumes](results/pcdal-3d.md), [made-up volumes](results/pcdal-3d-phantom.md), [X-rays](results/pcdal-xrays.md) and
[made-up slices](results/pcdal-phantom.md), [melanoma](results/melanoma.md)."""

_DATA = """## Other data

Most of the papers' data cannot be had without registration. Parts that stand for another one use data that everybody has,
volumes of the decathlon, X-rays of MedMNIST, or the made-up `phantom`, which needs no files. They are compared with the
table of the part they stand for. Every table then says so, shows no differences of levels, and only orders can be compared."""

_VERDICTS = """## What is compared

Cell by cell: ours as mean and deviation over seeds, the paper's, and the difference. A budget in percent takes the training
with the nearest share of labels, if it is within a tenth; a dash is what was not run or is not measured.

For the pairs a paper compares (its method and each baseline, with and without one of its parts, and the controls) the
difference is averaged over the budgets of a table, without the initial one, which all strategies share, and paired by seed.
The order *appears*, or is *reversed*; the difference is *beyond the seed noise* where its 95 % t-interval excludes 0. It is
not adjusted for the number of pairs, and fewer than six seeds can never reach p < .05 in a sign-flip test: the tables say
so."""


def reproduce_page() -> str:
    """All papers."""
    return page(
        [
            "# Reproducing papers",
            _INTRO,
            _SCALES,
            _DATA,
            _VERDICTS,
            *(part for p in PAPERS.values() for part in _paper(p)),
        ]
    )


def _paper(paper: Paper) -> list[str]:
    later = ["Not reproduced:", _list(paper.later)] if paper.later else []
    rows = [(f"`{p.name}`", _data(p), p.what, ", ".join(_rows(p))) for p in paper.parts]
    return [
        f"## `{paper.name}`",
        f"{paper.title}. {paper.citation}.",
        table(("part", "data set", "what it is", "rows"), rows),
        "Choices, where paper and release differ or are silent:",
        _list(paper.choices),
        *later,
    ]


def _data(part: Part) -> str:
    if part.unavailable:
        return f"cannot be run: {part.unavailable}"
    return f"`{part.dataset}`" + (f", stands for `{part.stands_for}`" if part.stand_in else "")


def _rows(part: Part) -> list[str]:
    return [
        f"{row.name} (`{row.strategy}`)" if row.strategy else f"{row.name} ({row.missing})"
        for row in part.rows
    ]


def _list(texts: tuple[str, ...]) -> str:
    return "\n".join(f"- {text}" for text in texts)
