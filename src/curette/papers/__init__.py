"""The papers this system implements: their experiments as studies, their published tables, and ours beside them."""

from __future__ import annotations

from curette.errors import unknown
from curette.papers import melanoma, paal, pcdal, sbc_al, stochastic_batches
from curette.papers.paper import Paper

PAPERS: dict[str, Paper] = {
    module.PAPER.name: module.PAPER for module in (pcdal, sbc_al, stochastic_batches, paal, melanoma)
}


def find_paper(name: str) -> Paper:
    """The paper of this name. Raises `SettingError` that lists the papers."""
    if name not in PAPERS:
        raise unknown("paper", name, PAPERS)
    return PAPERS[name]
