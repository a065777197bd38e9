"""Every registered selector keeps the promise of `curette.query.contracts.Selector`, whatever the pool looks like."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curette.errors import CuretteWarning
from curette.query.candidates import Candidates, Labelled
from curette.query.select import select
from curette.query.strategy import Strategy, parse_strategy
from curette.region import Region
from curette.registry import components

# Every selector with its defaults, where all its options have one, and each of the texts it names as examples.
SELECTORS = [
    text
    for name, c in components("selector").items()
    for text in (name, *c.info.get("examples", ()))
    if text != name or all(o.default is not o.empty for o in c.options.values())
]
CLASSES, PASSES = {"two classes": 2, "43 classes": 43}, 3  # by the kind of pool; 4 in all others
REGIONS = [Region(f"case{c}", 2, z) for c in range(8) for z in range(7, 12)]


def strategy(selector: str) -> Strategy:
    return parse_strategy(f"single > entropy > {selector}")


def make(n: int, m: int, kind: str, seed: int) -> tuple[Candidates, Labelled]:
    rng, classes = np.random.default_rng(seed), CLASSES.get(kind, 4)
    features = rng.normal(size=(n + m, 3)).astype(np.float32)
    members = rng.dirichlet(np.ones(classes), (n + m, PASSES)).astype(np.float32)
    gradient = rng.normal(size=(n + m, classes * 3)).astype(np.float32)
    samples = rng.normal(size=(n + m, 3, 1 + 3 + classes)).astype(np.float32)
    thumbnail = rng.random((n + m, 1, 8, 8), dtype=np.float32)
    score = rng.normal(size=n).astype(np.float32)
    predicted = rng.integers(0, 43, n).astype(np.int32)
    if kind == "constant":
        score[:], predicted[:] = 0.25, 0  # also: no foreground predicted anywhere
    elif kind == "duplicates":
        same = rng.integers(0, min(2, n + m), n + m)
        features, members, gradient = features[same], members[same], gradient[same]
        thumbnail, samples = thumbnail[same], samples[same]
        score = score[rng.integers(0, min(2, n), n)]
    elif kind == "one place":
        features[:], members[:], gradient[:], thumbnail[:], samples[:] = 3, 1 / classes, 0, 0.5, 0
    elif kind == "broken":
        score[rng.random(n) < 0.6] = np.nan
        score[rng.random(n) < 0.2] = np.inf
        features[rng.random(n + m) < 0.3] = np.nan
        for column in (gradient, members, samples):
            column[rng.random(n + m) < 0.3] = np.nan
    elif kind == "one class missing":
        predicted = np.where(predicted == 1, 0, predicted).astype(np.int32)
    elif kind == "huge":
        features *= np.float32(1e6)
        gradient *= np.float32(1e6)
        samples *= np.float32(1e6)
        score *= np.float32(1e30)
    patient = np.array([int(r.case[4:]) for r in REGIONS[:n]], np.int32)
    columns = {
        "probabilities": members.mean(axis=1),
        "members": members,
        "gradient": gradient,
        "gradient_foreground": gradient,
        "gradient_absolute": np.abs(gradient),
        "gradient_foreground_absolute": np.abs(gradient),
        "presence": np.stack([members[:, :, 0], members[:, :, 1:].sum(axis=2)], axis=2),
        "thumbnail": thumbnail,
        "samples": samples,
        "class_score": gradient[:, :classes],
        "truth": np.where(members[:, 0] > 0.3, members[:, 0], 0),  # nobody's truth is broken
        "group": patient // 3,
    }
    pool = Candidates(
        REGIONS[:n],
        score,
        patient,
        predicted,
        np.ones(n, np.float32),
        features[:n],
        {name: column[:n] for name, column in columns.items()},
        ordered=True,
    )
    done = [Region(f"done{i}") for i in range(m)]
    labels = {region: rng.integers(0, classes, (4, 4)) for region in done}
    known = {name: column[n:] for name, column in columns.items()}
    return pool, Labelled(done, np.arange(100, 100 + m, dtype=np.int32), features[n:], known, labels)


KINDS = ["ordinary", "constant", "duplicates", "one place", "broken", "one class missing", "huge", *CLASSES]
pools = st.tuples(st.integers(1, 40), st.integers(0, 5), st.sampled_from(KINDS), st.integers(0, 10**6))


def run(selector: str, pool: Candidates, budget: int, labelled: Labelled, seed: int) -> list[Region]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CuretteWarning)
        picks = select(strategy(selector), pool, budget, np.random.default_rng(seed), labelled)
    return [pool.regions[i] for i in picks]


@pytest.mark.parametrize("selector", SELECTORS)
class TestOnAnyPool:
    @given(pools, st.integers(0, 45))
    @settings(max_examples=40)
    def test_exactly_the_budget_all_distinct(self, selector: str, spec, budget: int) -> None:
        pool, labelled = make(*spec)
        picks = run(selector, pool, budget, labelled, spec[3])
        assert len(picks) == len(set(picks)) == min(budget, len(pool))
        assert set(picks) <= set(pool.regions)

    @given(pools, st.integers(0, 45), st.randoms(use_true_random=False))
    @settings(max_examples=25)
    def test_a_shuffled_pool_gives_the_same_picks(self, selector: str, spec, budget: int, shuffler) -> None:
        pool, labelled = make(*spec)
        order = list(range(len(pool)))
        shuffler.shuffle(order)
        mixed = pool.take(np.array(order))
        assert run(selector, mixed, budget, labelled, 7) == run(selector, pool, budget, labelled, 7)

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_same_seed_gives_the_same_picks_and_the_input_stays(self, selector: str, kind: str) -> None:
        pool, labelled = make(40, 3, kind, 1)
        columns = {k: getattr(pool, k).copy() for k in ("score", "patient", "predicted", "cost", "embedding")}
        columns |= {k: v.copy() for k, v in pool.columns.items()}
        seen = {"embedding": labelled.embedding.copy()} | {k: v.copy() for k, v in labelled.columns.items()}
        first = run(selector, pool, 9, labelled, 4)
        assert run(selector, pool, 9, labelled, 4) == first
        for name, column in columns.items():
            now = pool.columns[name] if name in pool.columns else getattr(pool, name)
            np.testing.assert_array_equal(now, column)
        for name, column in seen.items():
            now = labelled.columns.get(name, labelled.embedding)
            np.testing.assert_array_equal(now, column)

    def test_only_declared_columns_are_read(self, selector: str) -> None:
        bound = strategy(selector).selector
        pool, labelled = make(40, 3, "ordinary", 1)
        lean, bare = pool, labelled
        if "embedding" not in bound.needs:
            lean, bare = replace(lean, embedding=None), replace(bare, embedding=None)
        shown = {"truth": "truth", "grouped": "group"}
        told = bound.needs | {column for fact, column in shown.items() if bound.says(fact)}
        lean, bare = (
            replace(part, columns={k: v for k, v in part.columns.items() if k in told})
            for part in (lean, bare)
        )
        if not bound.says("scores"):
            lean = lean.rescored(np.zeros(40, np.float32))
        assert run(selector, lean, 9, bare, 4) == run(selector, pool, 9, labelled, 4)

    def test_the_order_of_the_labelled_set_does_not_matter(self, selector: str) -> None:
        pool, labelled = make(40, 4, "ordinary", 2)
        back = Labelled(
            labelled.regions[::-1],
            labelled.patient[::-1],
            labelled.embedding[::-1],
            {name: column[::-1] for name, column in labelled.columns.items()},
            labelled.labels,
        )
        assert run(selector, pool, 9, back, 4) == run(selector, pool, 9, labelled, 4)

    def test_it_says_whether_it_reads_labels(self, selector: str) -> None:
        """What is told of a strategy's needs is true: ``labels=True`` for who looks at them, and for nobody else."""

        class Watched(dict):  # type: ignore[type-arg]
            read = False

            def __getitem__(self, region):
                Watched.read = True
                return super().__getitem__(region)

        pool, labelled = make(40, 4, "ordinary", 2)
        run(selector, pool, 9, replace(labelled, labels=Watched(labelled.labels)), 4)
        assert Watched.read == strategy(selector).selector.says("labels")


@pytest.mark.parametrize("selector", ["top", "bottom"])
def test_scores_that_are_not_finite_lose(selector: str) -> None:
    pool, labelled = make(40, 0, "ordinary", 3)
    score = pool.score.copy()
    score[::3] = np.nan
    picks = run(selector, pool.rescored(score), 20, labelled, 0)
    assert not set(picks) & set(REGIONS[:40:3])


@pytest.mark.parametrize("name", sorted(components("selector")))
def test_it_says_what_it_is(name: str) -> None:
    assert components("selector")[name].summary
