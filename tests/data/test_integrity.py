from pathlib import Path

from files import blob, nifti, volume

from curette.data.integrity import examine
from curette.recipe import Data


def test_a_folder_of_which_nothing_is_left_is_told_file_by_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        nifti(tmp_path / "i" / f"{name}.nii", volume())
        nifti(tmp_path / "l" / f"{name}.nii", blob())
    (tmp_path / "dataset.toml").write_text(
        'channels = {T2 = "i/{case}.nii"}\nlabels = {files = "l/{case}.nii"}\nclasses = {background = 0, x = 1}\n'
    )
    for bad in ("i/a.nii", "l/b.nii"):
        (tmp_path / bad).write_bytes(b"\x5c\x01")
    found = examine(Data(dataset="own", root=tmp_path))
    assert (found.whole, found.cases) == (False, 0)
    (told,) = found.problems.values()
    assert [Path(text.split(" cannot")[0]).name for text in told] == ["a.nii", "b.nii"]
