"""What one must know of a named strategy to choose it, and the families they fall into."""

from __future__ import annotations

import re
from dataclasses import dataclass

FAMILIES = {
    "control": "What every comparison needs to beat, and negative controls.",
    "one pass": "The doubt of one prediction.",
    "many passes": "Disagreement of several predictions of the same image.",
    "randomised": "Any score with chance added, against picking the same thing many times over.",
    "representative": "The pool's variety, without looking at doubt.",
    "hybrid": "Doubt and variety together.",
    "trained at query time": "A further network is trained at every query to say what is wanted.",
    "trained along": "Something trained together with the network says what is wanted.",
    "cold start": "For cycle 0, before anything is labelled.",
    "wrapper": "Another selector under a condition.",
}
"""Families of strategies, in the order of tables, and what is common to each."""


@dataclass(frozen=True)
class Preset:
    """A strategy text and what one must know to choose it. What the text itself shows (passes, networks, features,
    cost) is not repeated here; `curette strategies` reads it from the text.

    text    the strategy, written out in four parts
    when    when it helps, in a sentence or two
    paper   its source, with the year
    truth   whether it looks at ground truth, which only a simulation has
    family  one of `FAMILIES`
    fails   when it fails, in a sentence or two
    cost    what it costs beyond what its text shows, as a phrase: "trains a small network at every query"
    notes   where sources disagree, a sentence or more each: "The paper prints …, the released code computes …,
            curette does …, option …"
    """

    text: str
    when: str
    paper: str = ""
    truth: bool = False
    family: str = ""
    fails: str = ""
    cost: str = ""
    notes: tuple[str, ...] = ()

    @property
    def year(self) -> int | None:
        """The year of the first source, None where there is none."""
        found = re.search(r"\b(?:19|20)\d\d\b", self.paper)
        return int(found[0]) if found else None
