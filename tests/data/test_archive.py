import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from curette.data.archive import unpack
from curette.errors import DataError

FILES = {
    "Task/a.txt": b"one" * 999,
    "Task/deep/b.txt": b"two",
    "__MACOSX/Task/a.txt": b"?",
    "Task/._a.txt": b"?",
}


def tar(path: Path, files: dict[str, bytes], mode: str = "w", **kind: bytes) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, of in kind.items():
            entry = tarfile.TarInfo(f"Task/{name}")
            entry.type, entry.linkname = of, "/etc/passwd"
            archive.addfile(entry)
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(params=["tar", "tar.gz", "zip"])
def make(request: pytest.FixtureRequest, tmp_path: Path):
    def of(files: dict[str, bytes]) -> Path:
        path = tmp_path / f"set.{request.param}"
        return (
            zipped(path, files)
            if request.param == "zip"
            else tar(path, files, "w:gz" if "gz" in path.name else "w")
        )

    return of


def test_whole_and_without_what_lies_outside(make, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = tmp_path / "to"
    found = unpack(make(FILES), folder, "Task", lambda done, total: seen.append((done, total)))
    assert {p.relative_to(found).as_posix(): p.read_bytes() for p in found.rglob("*") if p.is_file()} == {
        "a.txt": FILES["Task/a.txt"],
        "deep/b.txt": b"two",
    }
    assert [p.name for p in folder.iterdir()] == ["Task"]
    assert all(done <= total for done, total in seen)
    assert seen


def test_a_zip_of_files_without_a_folder(tmp_path: Path) -> None:
    files = {"a.txt": b"one", "b.txt": b"two", "._a.txt": b"?", "__MACOSX/._b.txt": b"?"}
    found = unpack(zipped(tmp_path / "set.zip", files), tmp_path / "to", "Task")
    assert {p.name: p.read_bytes() for p in found.iterdir()} == {"a.txt": b"one", "b.txt": b"two"}
    assert [p.name for p in (tmp_path / "to").iterdir()] == ["Task"]


@pytest.mark.parametrize("name", ["..", "C:out.txt", "..\\out.txt"])
def test_names_that_lead_out_of_a_zip_without_a_folder(name: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"a.txt": b"1", name: b"evil"})
    with pytest.raises(DataError, match="leads out of the folder"):
        unpack(path, tmp_path / "to", "Task")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(make, tmp_path: Path) -> None:
    (tmp_path / "Task").mkdir()
    assert unpack(make(FILES), tmp_path, "Task") == tmp_path / "Task"
    assert list((tmp_path / "Task").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../out.txt", "Task/../../out.txt", "/tmp/out.txt", "C:/out.txt", "Task\\..\\out"]
)
def test_names_that_lead_out(name: str, make, tmp_path: Path) -> None:
    folder = tmp_path / "to"
    with pytest.raises(DataError, match="leads out of the folder"):
        unpack(make({"Task/a.txt": b"1", name: b"evil"}), folder, "Task")
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("of", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices(of: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'Task/x', a link or device"):
        unpack(tar(tmp_path / "a.tar", {"Task/a.txt": b"1"}, x=of), tmp_path, "Task")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        entry = zipfile.ZipInfo("Task/link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="the link 'Task/link'"):
        unpack(tmp_path / "a.zip", tmp_path, "Task")


def test_damaged(make, tmp_path: Path) -> None:
    path = make(FILES)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    with pytest.raises(DataError, match=f"{path.name} is damaged"):
        unpack(path, tmp_path / "to", "Task")
    assert list((tmp_path / "to").iterdir()) == []


def test_another_archive(make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no folder 'Task'"):
        unpack(make({"Other/a.txt": b"1"}), tmp_path, "Task")


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.zip cannot be unpacked"):
        unpack(tmp_path / "none.zip", tmp_path, "Task")
