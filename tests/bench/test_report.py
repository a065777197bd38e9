"""Reports of made-up studies, finished and not: self-contained, valid, honest."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from curette.bench.record import read_record
from curette.bench.report import build_report, draw_summary
from curette.bench.summary import caveats, standings, summary
from curette.errors import DataError, SettingError
from study_folder import make_study, write_folder

VOID = {"meta", "input", "img", "br", "line", "link", "hr"}


class Page(HTMLParser):
    """Checks that tags nest, ids are unique and references resolve; gathers text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.uses: list[str] = []
        self.text: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.charts: list[dict[str, str | None]] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), f"an attribute twice in {tag}: {attrs}"
        self.ids += [found["id"]] if found.get("id") else []
        self.uses += [str(v)[1:] for k, v in attrs if k == "href"]
        if tag == "img":
            self.images.append(found)
        if tag == "svg" and found.get("role") == "img":
            self.charts.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def built(folder: Path) -> tuple[str, Page]:
    html = build_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.uses) <= set(page.ids)
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|<script|url\((?!#)", html)
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", page.words)
    assert len(html) < 8_000_000
    return html, page


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("made") / "study")


def test_finished_study(finished: Path) -> None:
    html, page = built(finished)
    assert "<title>made-up – 3 seeds, too few for a sign-flip test at 0.05 (needs 6)</title>" in html
    for said in (
        "Apache-2.0",
        "20 train (20 patients)",
        "9 test (8 patients)",
        "Dice per volume",
        "the control",
    ):
        assert said in page.words
    assert "unfinished" not in page.words.lower()
    assert len(page.images) == 4 * 4 * 5  # strategies, queries, picks
    assert all(i["alt"] and i["src"].startswith("data:image/") for i in page.images if i["src"])
    assert "entropy" in str(page.charts[0]["aria-label"])


def test_numbers_are_those_of_the_tables(finished: Path) -> None:
    record = read_record(finished)
    last = [
        r.value
        for r in record.results
        if (r.strategy, r.cycle, r.metric, r.cls) == ("bald", 4, "dice_3d", "mean")
    ]
    _, page = built(finished)
    assert f"{sum(last) / 3:.3f}" in page.words
    row = next(s for s in standings(record, "dice_3d") if s.strategy == "bald")
    assert row.against is not None
    assert row.against.better
    assert row.against.smallest == 0.25
    assert f"{row.against.mean:+.3f}" in page.words


def test_one_colour_and_marker_per_strategy(finished: Path) -> None:
    html, _ = built(finished)
    for i in range(4):
        assert len(re.findall(rf'<symbol id="k{i}"', html)) == 1
        assert len(re.findall(rf'class="s{i}"', html)) >= 9  # three metrics, three panels each
        assert len(re.findall(rf"--s{i}: #", html)) == 2  # light and dark


def test_unfinished_study_says_so_and_compares_nothing_it_cannot(tmp_path: Path) -> None:
    reached = {"random": 5, "entropy": 3, "bald": 1, "core_set": 0}
    study = make_study(seeds=(0, 1))
    folder = write_folder(tmp_path, study, reached=lambda s, seed: max(0, reached[s] - seed))
    html, page = built(folder)
    assert "unfinished: 1 of 8 runs are complete" in html[: html.index("</title>")]
    assert "core_set, seed 1: 0 of 5 trainings" in page.words
    assert "n=1" in page.words
    assert all(s.against is None for s in standings(read_record(folder), "dice_3d"))
    assert "excludes zero" not in page.words


def test_nothing_evaluated_yet(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, reached=lambda s, seed: 0)
    _, page = built(folder)
    assert "No training has been evaluated yet." in page.words
    (folder / "results.csv").unlink()
    built(folder)


def test_one_seed(tmp_path: Path) -> None:
    html, page = built(write_folder(tmp_path, make_study(seeds=(7,))))
    assert "one seed, too few" in html[: html.index("</title>")]
    assert "±" not in page.words.replace("mean ± standard deviation", "")
    assert "▲" not in page.words.replace("▲ ▼: the", "")


def test_no_random_control_is_in_the_title(tmp_path: Path) -> None:
    html, page = built(write_folder(tmp_path, make_study(("entropy", "bald"))))
    assert "no random control" in html[: html.index("</title>")]
    assert "sign-flip permutation" not in page.words


def test_random_is_known_by_meaning_not_by_name(tmp_path: Path) -> None:
    study = make_study(("none > none > slice > random", "entropy"))
    record = read_record(write_folder(tmp_path, study, pictures=False))
    assert record.control == "none > none > slice > random"


def test_enough_seeds_need_no_caveat(tmp_path: Path) -> None:
    record = read_record(write_folder(tmp_path, make_study(seeds=range(6), cycles=3), pictures=False))
    assert caveats(record) == []
    row = next(s for s in standings(record, "dice_3d") if s.strategy == "bald")
    assert row.against is not None
    assert row.against.p == row.against.smallest == 2 / 2**6
    assert row.holm == 3 * 2 / 2**6


def test_lower_is_better_turns_the_verdict(tmp_path: Path) -> None:
    record = read_record(write_folder(tmp_path, pictures=False))
    row = next(s for s in standings(record, "hd95_mm") if s.strategy == "bald")
    assert row.against is not None
    assert row.against.mean < 0
    assert row.against.better
    assert not row.against.worse


def test_strategies_that_use_ground_truth_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path, make_study(("random", "entropy")), pictures=False)
    monkeypatch.setattr("curette.bench.sections.uses_truth", lambda s: s == "entropy")
    _, page = built(folder)
    assert "† uses ground truth" in page.words


def test_classification(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, make_study(unit="image"), classification=True)
    _, page = built(folder)
    assert "Accuracy" in page.words
    assert "predicted right" in page.words
    assert "predicted ill" in page.words
    assert page.images


def test_without_pictures_picks_are_listed(tmp_path: Path) -> None:
    _, page = built(write_folder(tmp_path, pictures=False))
    assert not page.images
    assert "p01x1@z=2" in page.words


def test_many_pictures_stay_within_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path, make_study(("random", "entropy"), seeds=(0,)))
    monkeypatch.setattr("curette.bench.showcase.BYTES", 8 * 2 * 7_000)
    _, page = built(folder)
    assert len(page.images) == 8 * 2
    assert "3 more in picks.csv" in page.words


def test_text_of_the_user_is_escaped(tmp_path: Path) -> None:
    study = make_study(("random", "entropy")).model_copy(update={"name": "<b>x</b> & more"})
    html, _ = built(write_folder(tmp_path, study, pictures=False))
    assert "<b>x</b>" not in html
    assert "&lt;b&gt;x&lt;/b&gt; &amp; more" in html


def test_undefined_values_are_left_out(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, pictures=False)
    path = folder / "results.csv"
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join([",".join([*line.split(",")[:-1], ""]) if "nodule" in line else line for line in lines])
    )
    built(folder)


@pytest.mark.parametrize("name", ["results.csv", "picks.csv", "timings.csv", "data.json", "ledger.db"])
def test_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path, pictures=False)
    header = (folder / name).read_text().splitlines()[0] if (folder / name).exists() else "x"
    (folder / name).write_text(f"{header}\nrandom,zero,one\n" * 40)
    with pytest.raises(DataError, match=re.escape(name)):
        build_report(folder)


def test_not_a_study_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no study\.toml"):
        build_report(tmp_path)


def test_rebuilding_gives_the_same_bytes(finished: Path) -> None:
    assert built(finished)[0] == built(finished)[0]


def test_summary_is_plain_and_complete(finished: Path) -> None:
    found = summary(read_record(finished))
    assert found["finished"]
    assert found["metric"] == "dice_3d"
    assert [s["strategy"] for s in found["strategies"]] == ["random", "entropy", "bald", "core_set"]
    assert found["strategies"][0]["difference"] is None
    assert set(found["strategies"][1]["difference"]) == {
        "mean",
        "low",
        "high",
        "p",
        "smallest",
        "n",
        "p_holm",
    }


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figure(finished: Path, tmp_path: Path, suffix: str) -> None:
    path = draw_summary(finished, tmp_path / "deep" / f"figure.{suffix}")
    assert path.stat().st_size > 5_000
    assert list(path.parent.iterdir()) == [path]


def test_figure_of_unknown_format(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="png"):
        draw_summary(finished, tmp_path / "figure.doc")


def test_figure_of_nothing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, reached=lambda s, seed: 0)
    with pytest.raises(DataError, match="no results yet"):
        draw_summary(folder, tmp_path / "figure.png")
