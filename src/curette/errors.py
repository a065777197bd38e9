"""What curette raises and warns: every message names the file or setting, what is wrong, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CuretteError(Exception):
    """Anything a user can put right. The command line prints it as one paragraph and exits with code 2."""


class DataError(CuretteError):
    """A file that is missing, unreadable, inconsistent with its neighbours, or holds impossible values."""


class SettingError(CuretteError):
    """A setting, study file, strategy text or command-line option that cannot work."""


class ContractError(CuretteError):
    """A component (scorer, selector, learner …) broke its contract; the message names the component."""


class MissingExtraError(CuretteError):
    """An optional part is not installed; the message says which extra brings it."""


class CuretteWarning(UserWarning):
    """Something odd that does not stop the work, for example non-finite scores that were put last."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'entropy'?"`` for the known word closest to `word`, or an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{found[0]}'?" if found else ""


def unknown(what: str, word: str, known: Iterable[str]) -> SettingError:
    """Build the error for a name that is not known: it lists what is, and suggests the nearest."""
    names = sorted(known)
    return SettingError(f"Unknown {what} '{word}'.{nearest(word, names)} Known: {', '.join(names)}.")
