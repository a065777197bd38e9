"""Every scorer against published numbers, all worked out by hand or in float64."""

import numpy as np
import pytest

from curette.learn.prediction import Prediction
from curette.query import scorers  # noqa: F401
from curette.query.granularity import unit
from curette.region import Region
from curette.registry import bind
from fakes import prediction_of

A = [
    [[0.90, 0.05, 0.05], [0.88, 0.07, 0.05], [0.92, 0.04, 0.04]],
    [[0.40, 0.30, 0.30], [0.34, 0.33, 0.33], [0.30, 0.36, 0.34]],
    [[0.90, 0.05, 0.05], [0.05, 0.90, 0.05], [0.10, 0.10, 0.80]],
    [[0.50, 0.49, 0.01], [0.48, 0.51, 0.01], [0.52, 0.46, 0.02]],
]


def binary(foreground: object) -> np.ndarray:
    """Foreground probabilities [B, T, *S] → [B, T, 2, *S], background first."""
    p = np.asarray(foreground, float)
    return np.stack([1 - p, p], axis=2)


def scores(name: str, passes: object, **mask: object) -> np.ndarray:
    return np.asarray(bind("scorer", name)(prediction_of(passes, **mask)))


def images(name: str, passes: object, reduce: str = "mean", q: float = 0.05, **mask: object) -> np.ndarray:
    """Image scores."""
    prediction = prediction_of(passes, **mask)
    return unit(bind("scorer", name)(prediction), prediction, frozenset(), reduce=reduce, q=q).score


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("entropy", [0.394175, 1.098181, 1.096067, 0.754626]),
        ("least_confidence", [0.1, 0.653333, 0.65, 0.5]),
        ("margin", [-0.846667, -0.016667, 0, -0.013333]),
        ("mutual_information", [0.001826, 0.003783, 0.620125, 0.001487]),
        ("variance", [0.000148, 0.000859, 0.142778, 0.000237]),
        ("none", [0, 0, 0, 0]),
    ],
)
def test_three_passes_over_four_images(name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(scores(name, A), expected, atol=1e-6)


def test_which_image_each_scorer_wants() -> None:
    assert scores("entropy", A).argmax() == scores("least_confidence", A).argmax() == 1
    assert scores("mutual_information", A).argmax() == scores("variance", A).argmax() == 2
    assert list(np.argsort(-scores("margin", A))[:2]) == [2, 3]


DENSE = [
    [[[0.9, 0.1], [0.1, 0.1]], [[0.8, 0.1], [0.2, 0.1]]],
    [[[0.5, 0.5], [0.01, 0.01]], [[0.6, 0.4], [0.01, 0.01]]],
    [[[0.999, 0.999], [0.001, 0.001]]] * 2,
]


@pytest.mark.parametrize(
    ("scorer", "reduce", "q", "expected"),
    [
        ("entropy", "mean", 0.05, [0.373896, 0.372070, 0.007907]),
        ("entropy", "sum", 0.05, [1.495584, 1.488281, 0.031629]),
        ("entropy", "max", 0.05, [0.422709, 0.688139, 0.007907]),
        ("entropy", "topq", 0.25, [0.422709, 0.688139, 0.007907]),
        ("entropy", "topq", 0.5, [0.422709, 0.688139, 0.007907]),
        ("entropy", "topq", 1.0, [0.373896, 0.372070, 0.007907]),
        ("entropy", "fgw", 0.05, [0.406438, 0.675744, 0.007907]),
        ("mutual_information", "mean", 0.05, [0.004983, 0.002530, 0]),
    ],
)
def test_reductions_of_maps(scorer: str, reduce: str, q: float, expected: list[float]) -> None:
    np.testing.assert_allclose(images(scorer, binary(DENSE), reduce, q), expected, atol=1e-5)


def test_entropy_maps() -> None:
    np.testing.assert_allclose(
        scores("entropy", binary(DENSE))[:2],
        [[[0.422709, 0.325083], [0.422709, 0.325083]], [[0.688139, 0.688139], [0.056002, 0.056002]]],
        atol=1e-6,
    )


def test_topq_counts_pixels_right() -> None:
    # 0.3 × 50 is 15, though float32 has it just above.
    mean = binary(np.linspace(0, 0.5, 50)[None, None])[:, 0].astype(np.float32)
    prediction = Prediction([Region("a")], mean)
    scored = unit(
        bind("scorer", "least_confidence")(prediction), prediction, frozenset(), reduce="topq", q=0.3
    )
    np.testing.assert_allclose(scored.score, mean[0, 1, -15:].mean(), atol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "each", "mean"),
    [
        ([[0.5, 0.5], [0.9, 0.1]], [0.6931472, 0.3250830], 0.5091151),
        ([[1 / 3] * 3, [0.8, 0.1, 0.1], [1, 0, 0]], [1.0986123, 0.6390319, 0], 0.5792147),
    ],
)
def test_entropy_of_pixels(pixels: list[list[float]], each: list[float], mean: float) -> None:
    passes = np.array(pixels).T[None, None]
    np.testing.assert_allclose(scores("entropy", passes)[0], each, atol=1e-7)
    np.testing.assert_allclose(images("entropy", passes), mean, atol=1e-6)


def test_per_pixel_baselines() -> None:
    passes = np.array([[0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.4, 0.4, 0.2]]).T[None, None]
    np.testing.assert_allclose(images("least_confidence", passes), 0.3666667, atol=1e-6)
    np.testing.assert_allclose(images("margin", passes), -0.3833333, atol=1e-6)
    np.testing.assert_allclose(images("entropy", passes), 0.7824212, atol=1e-6)


def test_divergence_of_two_passes_orders_by_disagreement() -> None:
    # A released implementation adds the two terms, which turns this order upside down.
    found = scores(
        "mutual_information", [[[0.9, 0.1], [0.1, 0.9]], [[0.5, 0.5]] * 2, [[0.8, 0.2], [0.6, 0.4]]]
    )
    np.testing.assert_allclose(found, [0.3680642, 0, 0.0241573], atol=1e-6)


def test_divergence_of_four_passes_over_two_pixels() -> None:
    passes = binary([[[0.9, 0.2], [0.7, 0.4], [0.8, 0.3], [0.8, 0.1]]])
    np.testing.assert_allclose(scores("mutual_information", passes)[0], [0.0162144, 0.0349948], atol=1e-7)
    np.testing.assert_allclose(images("mutual_information", passes), 0.0256046, atol=1e-6)


def test_the_mean_divides_by_the_valid_pixels() -> None:
    passes = binary([[[0.9, 0.6, 0.5, 0.2], [0.7, 0.6, 0.1, 0.4]]])
    np.testing.assert_allclose(images("mutual_information", passes), 0.0395838, atol=1e-6)
    np.testing.assert_allclose(
        images("mutual_information", passes, valid=[[1, 1, 0, 1]]), 0.0188620, atol=1e-6
    )


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        ([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]], 0.0125),
        ([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.6, 0.2, 0.2]], 0.00333333),
        ([[0.7, 0.2, 0.1]] * 4, 0.0),
    ],
)
def test_perturbation_variance_of_images(passes: list[list[float]], expected: float) -> None:
    np.testing.assert_allclose(scores("variance", [passes]), expected, atol=1e-8)


def test_one_voxel_under_four_flips() -> None:
    passes = [[[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.7, 0.3]]]
    np.testing.assert_allclose(scores("variance", passes), 0.0125, atol=1e-6)
    np.testing.assert_allclose(scores("mutual_information", passes), 0.034995, atol=1e-6)


@pytest.mark.parametrize(
    ("gain", "aligned", "not_aligned"),
    [([[1, 0.5], [1, 0.25]], 0.031640625, 0.02890625), ([[0.9, 0.5], [0.3, 0.2]], 0.0215625, 0.014875)],
)
def test_perturbation_variance_of_maps(gain: list[list[float]], aligned: float, not_aligned: float) -> None:
    image, g = np.array([[0.8, 0.4], [0.2, 0.6]]), np.array(gain)
    axes = ((), (1,), (0,), (0, 1))
    raw = [np.flip(image, a) * g for a in axes]
    back = [np.flip(r, a) for r, a in zip(raw, axes, strict=True)]
    np.testing.assert_allclose(images("variance", binary([back])), aligned, atol=1e-8)
    np.testing.assert_allclose(images("variance", binary([raw])), not_aligned, atol=1e-8)


def test_identical_passes_in_float32_have_no_variance() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), 1000).astype(np.float32)
    mean, second = p * 0, p * 0
    for _ in range(7):
        mean, second = mean + p, second + p * p
    prediction = Prediction([Region(f"r{i}") for i in range(1000)], mean / 7, 7, second_moment=second / 7)
    assert (second / 7 - (mean / 7) ** 2).any()  # rounding leaves something …
    assert not bind("scorer", "variance")(prediction).any()  # … which must not rank regions
