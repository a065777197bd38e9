"""Shared fixtures: one thread, a cache of its own, and the real data where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch starts its threads: tests run in several processes
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared data of tests never land in, or come from, the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURETTE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with ``Task04_Hippocampus`` and ``medmnist``; the test is skipped where there is none."""
    folder = Path(os.environ.get("CURETTE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set CURETTE_DATA to the folder that holds Task04_Hippocampus")
    return folder
