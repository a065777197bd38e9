import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from webserver import Site, serving

from curette.data import addresses
from curette.data.addresses import PARTS, download, part_of
from curette.data.datasets.medmnist import NAMES
from curette.data.download import Remote
from curette.errors import DataError, SettingError


def test_every_address_has_the_checksum_known_for_it() -> None:
    remotes = [r for parts in PARTS.values() for files in parts.values() for r in files]
    assert len({r.url for r in remotes}) == len(remotes) == len({r.checksum for r in remotes})
    assert all(r.url.startswith("https://") for r in remotes)
    assert [r.name for r in remotes if not r.checksum] == ["kvasir-dataset-v2.zip"]


def test_all_tasks_and_all_sets_are_there() -> None:
    assert [name[:6] for name in PARTS["msd"]] == [f"Task{i:02d}" for i in range(1, 11)]
    sets = {name.partition("_")[0] for name in PARTS["medmnist"]}
    assert sets == {*NAMES, "chestmnist", "retinamnist"}
    for name in sets:
        sizes = {part.partition("_")[2] for part in PARTS["medmnist"] if part.partition("_")[0] == name}
        assert sizes == ({"", "64"} if name.endswith("3d") else {"", "64", "128", "224"})
    assert all(r.name == f"{part}.npz" for part, (r,) in PARTS["medmnist"].items())


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The bucket of the decathlon with one small task in it."""
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w") as archive:
        entry = tarfile.TarInfo("Task99_Toe/dataset.json")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"{}"))
    content = stored.getvalue()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    with serving(Site(content)) as found:
        remote = Remote(found.url, f"md5:{md5}", unpack="Task99_Toe")
        monkeypatch.setitem(addresses.PARTS, "msd", {"Task99_Toe": (remote,)})
        yield found


def test_downloaded_and_unpacked_once(site: Site, tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        assert download("msd", "", tmp_path, lambda *step: seen.append(step)) == [tmp_path / "Task99_Toe"]
    assert [p.name for p in tmp_path.iterdir()] == ["Task99_Toe"]
    assert (tmp_path / "Task99_Toe" / "dataset.json").read_bytes() == b"{}"
    assert len(site.asked) == 1
    assert list(dict.fromkeys(phase for phase, *_ in seen)) == [
        "downloading set one.bin",
        "unpacking set one.bin",
    ]


@pytest.mark.parametrize(
    ("name", "top"), [("promise12", ""), ("acdc", "ACDC/database/"), ("kvasir", "kvasir-dataset-v2/")]
)
def test_published_archives_become_the_folder_that_is_read(
    name: str, top: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((part, (remote,)),) = PARTS[name].items()
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr(f"{top}here.txt", b"1")
    content = stored.getvalue()
    checksum = remote.checksum and f"sha256:{hashlib.sha256(content).hexdigest()}"
    with serving(Site(content)) as site:
        path = urlsplit(remote.url).path
        local = Remote(f"http://127.0.0.1:{site.port}{path}", checksum, remote.unpack)
        monkeypatch.setitem(addresses.PARTS, name, {part: (local,)})
        (found,) = download(name, "", tmp_path)
        assert download(name, "", tmp_path) == [found]
    assert found == tmp_path / remote.unpack
    assert [p.name for p in tmp_path.iterdir()] == [found.name]
    assert [p.name for p in found.rglob("*") if p.is_file()] == ["here.txt"]
    assert len(site.asked) == 1


def test_put_there_by_hand(site: Site, tmp_path: Path) -> None:
    (tmp_path / "set one.bin").write_bytes(site.content)
    assert download("msd", "Task99_Toe", tmp_path) == [tmp_path / "Task99_Toe"]
    assert site.asked == []


def test_damaged_on_the_way(site: Site, tmp_path: Path) -> None:
    site.content = b"x" + site.content[1:]
    with pytest.raises(DataError, match="is published for it"):
        download("msd", "", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_parts_that_are_none() -> None:
    with pytest.raises(SettingError, match=r"comes in parts\. Say which with --part: Task01_BrainTumour, "):
        part_of("msd", "")
    with pytest.raises(SettingError, match="Did you mean 'Task04_Hippocampus'"):
        part_of("msd", "Hippocampus")
    with pytest.raises(SettingError, match="no public direct address of 'folder'"):
        part_of("folder", "")
    with pytest.raises(SettingError, match="Unknown dataset 'nothing'"):
        part_of("nothing", "")
