"""The comparison with other packages starts from equal data, and its texts are strategies."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def peers() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("peers")
    sys.path.remove(str(BENCHMARKS))


def test_every_method_picks_its_budget(peers: ModuleType) -> None:
    pool = peers.Pool(300)
    for name, method in peers.METHODS.items():
        picks = peers.curette(method)(pool, method.budget)
        assert len(set(picks)) == method.budget, name


def test_installed_packages_pick_as_many(peers: ModuleType) -> None:
    pool = peers.Pool(300)
    for name, method in peers.METHODS.items():
        for package, (run, note) in method.peers.items():
            if importlib.util.find_spec(package):
                theirs = set(np.asarray(run(pool, method.budget)).reshape(-1).tolist())
                assert len(theirs) == method.budget, f"{name}, {package}"
                if not note:
                    assert theirs == set(peers.curette(method)(pool, method.budget)), f"{name}, {package}"


def test_predictions_in_blocks_are_those_of_all_passes(
    peers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_BLOCK", 64)
    pool = peers.Pool(200)
    needs = frozenset({"member_entropy", "second_moment", "votes"})
    found = list(peers.predictions(pool, needs))
    p = pool.members.astype(np.float64)
    entropy = np.concatenate([f.member_entropy for f in found])
    np.testing.assert_allclose(entropy, -(p * np.log(p)).sum(axis=2).mean(axis=1), rtol=1e-5)
    moment = np.concatenate([f.second_moment for f in found])
    np.testing.assert_allclose(moment, (p**2).mean(axis=1), rtol=1e-5)
    votes = np.concatenate([f.votes for f in found])
    np.testing.assert_allclose(votes.sum(axis=1), 1)


def test_a_row_says_what_is_different(peers: ModuleType) -> None:
    ours = {"seconds": 0.5, "memory": 0.2, "picks": [1, 2, 3, 4]}
    theirs = {"seconds": 2.0, "memory": 40.0, "picks": [4, 3, 2, 9]}
    line = peers.row("entropy", 1000, "baal", ours, theirs, "")
    assert line[-3:] == ["4", "40", "75% common (!)"]
    assert peers.row("entropy", 1000, "baal", ours, theirs, "why")[-1] == "75% common *"
    assert peers.row("entropy", 1000, "baal", ours, ours, "")[-3:] == ["1", "1", "same"]
    assert "out of memory" in peers.row("entropy", 1000, "baal", ours, {"failed": "out of memory"}, "")


def test_what_takes_too_long_is_said_and_not_asked_again(
    peers: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, int]] = []

    def measure(name: str, package: str, n: int, given: object) -> dict[str, object]:
        asked.append((package, n))
        slow = package == "baal"
        return {"failed": "over 1 s"} if slow else {"seconds": 1.0, "memory": 1.0, "picks": [0]}

    monkeypatch.setattr(peers, "measure", measure)
    list(peers.compare("variance", {"baal"}, SimpleNamespace(sizes=[10, 20])))
    assert asked == [("curette", 10), ("baal", 10), ("curette", 20)]
    assert "over 1 s" in capsys.readouterr().out
