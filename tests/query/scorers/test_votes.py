"""Disagreement of hard decisions."""

from __future__ import annotations

import numpy as np

from query.scorers.known import A, scores


def test_three_passes_over_four_images() -> None:
    np.testing.assert_allclose(scores("variation_ratio", A), [0, 0.333333, 0.666667, 0.333333], atol=1e-5)
    np.testing.assert_allclose(scores("vote_entropy", A), [0, 0.636514, 1.098612, 0.636514], atol=1e-6)


def test_ties_of_votes_are_broken_by_what_the_passes_disagree_about() -> None:
    found = scores("variation_ratio", A)
    assert found[1] > found[3]  # one vote of three against, and more mutual information
    assert found[0] > 0  # no vote against, though the passes are not the same


def test_a_tie_break_never_outweighs_a_vote() -> None:
    agree = np.full((1, 50, 43), 1e-6)
    agree[..., 0] = 1 - 42e-6
    one_off, torn = agree.copy(), agree.copy()
    one_off[0, 0] = [0.4999, 0.5001, *[0.0] * 41]  # one vote of fifty against, by a hair
    torn[0, :, :] = 1e-9
    torn[0, :, 0] = 0.51
    torn[0, np.arange(50), 1 + np.arange(50) % 42] = 0.49  # all vote alike, and disagree about the rest
    found = scores("variation_ratio", np.concatenate([agree, one_off, torn]))
    assert found[1] > found[2] > found[0]


def test_float32_keeps_the_order_of_tied_votes() -> None:
    found = scores("variation_ratio", A).astype(np.float32)
    assert found[1] > found[3] > found[0] > 0
