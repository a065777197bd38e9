import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from curette.data import cache
from curette.errors import SettingError


def fill(draft: Path) -> dict:
    (draft / "a.bin").write_bytes(b"12345")
    return {"answer": 42}


def never(draft: Path) -> dict:
    raise AssertionError("built again")


def test_built_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "x"
    facts = cache.build(folder, fill)
    assert facts["answer"] == 42
    assert cache.build(folder, never) == facts == cache.complete(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["a.bin", "manifest.json"]


@pytest.mark.parametrize("damage", ["cut", "gone", "manifest", "no manifest"])
def test_a_damaged_folder_is_built_again(damage: str, tmp_path: Path) -> None:
    cache.build(tmp_path / "x", fill)
    if damage == "cut":
        (tmp_path / "x" / "a.bin").write_bytes(b"123")
    elif damage == "gone":
        (tmp_path / "x" / "a.bin").unlink()
    elif damage == "manifest":
        (tmp_path / "x" / "manifest.json").write_text('{"fil')
    else:
        (tmp_path / "x" / "manifest.json").unlink()
    assert cache.complete(tmp_path / "x") is None
    cache.build(tmp_path / "x", fill)
    assert (tmp_path / "x" / "a.bin").read_bytes() == b"12345"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(draft: Path) -> dict:
        (draft / "half").write_text("")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.build(tmp_path / "x", fail)
    assert [p.name for p in tmp_path.iterdir()] == [".x.lock"]


def test_a_folder_nobody_may_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"cannot be written.*prepare\.cache.*CURETTE_CACHE"):
        cache.build(tmp_path / "file" / "x", fill)


def test_where_caches_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURETTE_CACHE", str(tmp_path))
    assert cache.root(None) == tmp_path
    assert cache.root(Path("~/mine")) == Path.home() / "mine"
    monkeypatch.setenv("CURETTE_CACHE", "")
    assert cache.root(None) == Path.home() / ".cache" / "curette"


def start(script: str, *args: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), *map(str, args)])


def test_a_killed_builder_leaves_no_folder_and_the_next_cleans_up(tmp_path: Path) -> None:
    builder = start(
        """
        import os, signal, sys
        from pathlib import Path
        from curette.data import cache
        def fill(draft):
            (draft / "half").write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        cache.build(Path(sys.argv[1]) / "x", fill)
        """,
        tmp_path,
    )
    assert builder.wait(60) == -9
    assert not (tmp_path / "x").exists()
    assert len(list(tmp_path.glob(".x.*.part"))) == 1
    cache.build(tmp_path / "x", fill)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".x.lock", "x"]


def test_two_processes_build_once(tmp_path: Path) -> None:
    script = """
        import os, sys, time
        from pathlib import Path
        from curette.data import cache
        root = Path(sys.argv[1])
        def fill(draft):
            (root / f"built-{os.getpid()}").write_text("")
            (root / "started").write_text("")
            while not (root / "go").exists():
                time.sleep(0.01)
            return {"by": os.getpid()}
        cache.build(root / "x", fill)
        """
    builders = [start(script, tmp_path) for _ in range(3)]
    while not (tmp_path / "started").exists():
        assert all(b.poll() is None for b in builders)
    assert cache.complete(tmp_path / "x") is None
    (tmp_path / "go").write_text("")
    assert [b.wait(60) for b in builders] == [0, 0, 0]
    assert len(list(tmp_path.glob("built-*"))) == 1
    assert cache.complete(tmp_path / "x")["by"] != os.getpid()
