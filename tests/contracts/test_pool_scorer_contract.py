"""Every registered scorer of the whole pool keeps the promise of `curette.query.contracts.PoolScorer`."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from curette.errors import CuretteWarning
from curette.query.candidates import Candidates, Labelled, kept
from curette.query.scoring import rescored
from curette.query.strategy import parse_strategy
from curette.region import Region
from curette.registry import components

POOL_SCORERS = {name: c for name, c in components("scorer").items() if c.info.get("pool")}
TEXTS = [text for name, c in POOL_SCORERS.items() for text in (name, *c.info.get("examples", ()))]
KINDS = ["ordinary", "duplicates", "one place", "broken", "huge"]
CLASSES, PASSES, WIDTH = 4, 3, 5


def make(n: int, m: int, kind: str, seed: int) -> tuple[Candidates, Labelled]:
    """A pool of n regions in region order and m labelled ones, with features and every column."""
    rng = np.random.default_rng(seed)
    members = rng.dirichlet(np.ones(CLASSES), (n + m, PASSES)).astype(np.float32)
    facts = {
        "embedding": rng.normal(size=(n + m, WIDTH)).astype(np.float32),
        "members": members,
        "probabilities": members.mean(axis=1),
        "gradient": rng.normal(size=(n + m, CLASSES * WIDTH)).astype(np.float32),
        "thumbnail": rng.random((n + m, 1, 9, 8), dtype=np.float32),
        "structure_inconsistency": _structure(rng, n + m),
        "boundary_inconsistency": rng.random((n + m, PASSES, 2), dtype=np.float32),
        "samples": rng.normal(size=(n + m, 3, 1 + WIDTH + CLASSES)).astype(np.float32),
    }
    if kind == "duplicates":
        same = rng.integers(0, min(2, n + m), n + m)
        facts = {name: column[same] for name, column in facts.items()}
    elif kind == "one place":
        facts = {name: np.repeat(column[:1], n + m, axis=0) for name, column in facts.items()}
    elif kind == "broken":
        for column in facts.values():
            column[rng.random(n + m) < 0.3] = np.nan
    elif kind == "huge":
        facts["embedding"] *= np.float32(1e6)
        facts["thumbnail"] *= np.float32(1e6)
        facts["gradient"] *= np.float32(1e6)
    regions = [Region(f"case{i:03d}") for i in range(n)]
    done = [Region(f"done{i}") for i in range(m)]
    pool = Candidates(
        regions,
        rng.normal(size=n).astype(np.float32),
        np.arange(n, dtype=np.int32),
        rng.integers(0, CLASSES, n).astype(np.int32),
        np.ones(n, np.float32),
        facts["embedding"][:n],
        {name: column[:n] for name, column in facts.items() if name != "embedding"},
        ordered=True,
    )
    labels = {region: rng.integers(0, CLASSES, (4, 4)) for region in done}
    known = {name: column[n:] for name, column in facts.items() if name != "embedding"}
    numbers = np.arange(n, n + m, dtype=np.int32)
    return pool, Labelled(done, numbers, facts["embedding"][n:], known, labels)


def _structure(rng: np.random.Generator, count: int) -> np.ndarray:
    """What the column of that name holds of random maps, some of them 0 everywhere."""
    s, d = rng.random((2, count, PASSES, CLASSES, 6), dtype=np.float32)
    s[rng.random((count, PASSES, CLASSES)) < 0.2] = 0
    terms = [s * d, s * s, d * d, s, d]
    return np.stack([*(term.sum(axis=-1) for term in terms), s.max(axis=-1), d.max(axis=-1)], axis=-1)


def scored(text: str, pool: Candidates, labelled: Labelled, seed: int = 0) -> np.ndarray:
    scorer = parse_strategy(f"dropout(3) > {text} > top").scorer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CuretteWarning)
        return rescored(scorer, pool, np.random.default_rng(seed), labelled).score


@pytest.mark.parametrize("text", TEXTS)
class TestPoolScorer:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(("n", "m"), [(1, 0), (1, 1), (40, 1), (40, 6)])
    def test_one_number_a_region_finite_where_its_facts_are(
        self, text: str, kind: str, n: int, m: int
    ) -> None:
        pool, labelled = make(n, m, kind, 10 * n + m)
        score = scored(text, pool, labelled)
        assert score.shape == (n,)
        assert score.dtype == np.float32
        assert not np.isnan(score).any()
        used = [pool.embedding if f == "embedding" else pool.columns[f] for f in kept(_needs(text))]
        finite = np.array([np.isfinite(c.reshape(n, -1)).all(axis=1) for c in used])
        good, bad = finite.all(axis=0), ~finite.any(axis=0)
        assert np.isfinite(score[good]).all()
        assert (score < np.inf).all()
        if good.any():  # a region that cannot be judged is never ahead of one that can
            assert (score[bad] <= score[good].min()).all()

    def test_a_shuffled_pool_and_labelled_set_give_the_same(self, text: str) -> None:
        pool, labelled = make(40, 6, "ordinary", 1)
        order, back = np.random.default_rng(2).permutation(40), np.arange(6)[::-1]
        turned = Labelled(
            [labelled.regions[i] for i in back],
            labelled.patient[back],
            labelled.embedding[back],
            {name: column[back] for name, column in labelled.columns.items()},
            labelled.labels,
        )
        np.testing.assert_array_equal(
            scored(text, pool.take(order), turned), scored(text, pool, labelled)[order]
        )

    def test_the_same_seed_gives_the_same_and_the_input_stays(self, text: str) -> None:
        pool, labelled = make(40, 6, "ordinary", 3)
        facts = [
            pool.score,
            pool.embedding,
            *pool.columns.values(),
            labelled.embedding,
            *labelled.columns.values(),
        ]
        before = [np.copy(fact) for fact in facts]
        first = scored(text, pool, labelled, 7)
        np.testing.assert_array_equal(first, scored(text, pool, labelled, 7))
        for fact, copy in zip(facts, before, strict=True):
            np.testing.assert_array_equal(fact, copy)

    def test_only_declared_facts_are_read(self, text: str) -> None:
        pool, labelled = make(40, 6, "ordinary", 4)
        needs = _needs(text)
        lean, bare = (
            replace(
                part,
                embedding=part.embedding if "embedding" in needs else None,
                columns={name: column for name, column in part.columns.items() if name in needs},
            )
            for part in (pool.rescored(np.zeros(40, np.float32)), labelled)
        )
        np.testing.assert_array_equal(scored(text, lean, bare), scored(text, pool, labelled))

    def test_nobody_else_notices(self, text: str) -> None:
        torch = pytest.importorskip("torch")
        pool, labelled = make(12, 4, "ordinary", 5)
        before, state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        scored(text, pool, labelled)
        assert torch.equal(torch.get_rng_state(), before)
        np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", POOL_SCORERS)
def test_it_says_what_it_is(name: str) -> None:
    assert POOL_SCORERS[name].summary
    assert POOL_SCORERS[name].paper


def _needs(text: str) -> frozenset[str]:
    return parse_strategy(f"dropout(3) > {text} > top").scorer.needs
