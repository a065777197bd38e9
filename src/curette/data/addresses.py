"""Where data sets are published, with the checksums that are known for them. Nothing here is measured or guessed.

- Medical Segmentation Decathlon: the bucket ``msd-for-monai`` of the AWS open-data programme, with the MD5 sums of
  `monai.apps.DecathlonDataset` (MONAI 1.6.1).
- MedMNIST: Zenodo record 10519652 with the MD5 sums of the package ``medmnist`` 3.0.2.
- ISIC 2018, task 1: the challenge's bucket. The challenge publishes no checksums; the SHA-256 sums are those that the
  package ``torch_em`` compares with.
- PROMISE12: Zenodo record 8026660. ACDC: its makers' server, at an address that names no file. SHA-256 sums of ``torch_em``.
- Kvasir version 2: its makers' server. No checksum is known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import curette.data.datasets  # noqa: F401  (registers the built-in ones)
from curette.data.archive import unpack
from curette.data.download import Meter, Remote, fetch
from curette.errors import SettingError, unknown
from curette.registry import components, get

Progress = Callable[[str, int, int | None], None]

_MSD_AT = "https://msd-for-monai.s3-us-west-2.amazonaws.com/"
_MSD = {
    "Task01_BrainTumour": "240a19d752f0d9e9101544901065d872",
    "Task02_Heart": "06ee59366e1e5124267b774dbd654057",
    "Task03_Liver": "a90ec6c4aa7f6a3d087205e23d4e6397",
    "Task04_Hippocampus": "9d24dba78a72977dbd1d2e110310f31b",
    "Task05_Prostate": "35138f08b1efaef89d7424d2bcc928db",
    "Task06_Lung": "8afd997733c7fc0432f71255ba4e52dc",
    "Task07_Pancreas": "4f7080cfca169fa8066d17ce6eb061e4",
    "Task08_HepaticVessel": "641d79e80ec66453921d997fbf12a29c",
    "Task09_Spleen": "410d4a301da4e5b2f6f86ec3ddba524e",
    "Task10_Colon": "bad7a188931dc2f6acf72b08eb6202d0",
}
_MEDMNIST_AT = "https://zenodo.org/records/10519652/files/"
_MEDMNIST = {
    "pathmnist": "a8b06965200029087d5bd730944a56c1",
    "pathmnist_64": "55aa9c1e0525abe5a6b9d8343a507616",
    "pathmnist_128": "ac42d08fb904d92c244187169d1fd1d9",
    "pathmnist_224": "2c51a510bcdc9cf8ddb2af93af1eadec",
    "chestmnist": "02c8a6516a18b556561a56cbdd36c4a8",
    "chestmnist_64": "9de6cd0b934ebb5b7426cfba5efbae16",
    "chestmnist_128": "db107e5590b27930b62dbaf558aebee3",
    "chestmnist_224": "45bd33e6f06c3e8cdb481c74a89152aa",
    "dermamnist": "0744692d530f8e62ec473284d019b0c7",
    "dermamnist_64": "b70a2f5635c6199aeaa28c31d7202e1f",
    "dermamnist_128": "2defd784463fa5243564e855ed717de1",
    "dermamnist_224": "8974907d8e169bef5f5b96bc506ae45d",
    "octmnist": "c68d92d5b585d8d81f7112f81e2d0842",
    "octmnist_64": "e229e9440236b774d9f0dfef9d07bdaf",
    "octmnist_128": "0a97e76651ace45c5d943ee3f65b63ae",
    "octmnist_224": "abc493b6d529d5de7569faaef2773ba3",
    "pneumoniamnist": "28209eda62fecd6e6a2d98b1501bb15f",
    "pneumoniamnist_64": "8f4eceb4ccffa70c672198ea285246c6",
    "pneumoniamnist_128": "05b46931834c231683c68f40c47b2971",
    "pneumoniamnist_224": "d6a3c71de1b945ea11211b03746c1fe1",
    "retinamnist": "bd4c0672f1bba3e3a89f0e4e876791e4",
    "retinamnist_64": "afda852cc34dcda56f86ad2b2457dbcc",
    "retinamnist_128": "e48e916a24454daf90583d4e6efb1a18",
    "retinamnist_224": "eae7e3b6f3fcbda4ae613ebdcbe35348",
    "breastmnist": "750601b1f35ba3300ea97c75c52ff8f6",
    "breastmnist_64": "742edef2a1fd1524b2efff4bd7ba9364",
    "breastmnist_128": "363e4b3f8d712e9b5de15470a2aaadf1",
    "breastmnist_224": "b56378a6eefa9fed602bb16d192d4c8b",
    "bloodmnist": "7053d0359d879ad8a5505303e11de1dc",
    "bloodmnist_64": "2b94928a2ae4916078ca51e05b6b800b",
    "bloodmnist_128": "adace1e0ed228fccda1f39692059dd4c",
    "bloodmnist_224": "b718ff6835fcbdb22ba9eacccd7b2601",
    "tissuemnist": "ebe78ee8b05294063de985d821c1c34b",
    "tissuemnist_64": "123ece2eba09d0aa5d698fda57103344",
    "tissuemnist_128": "61b955355d7425a89687b06cca3ce0c2",
    "tissuemnist_224": "b077128c4a949f0a4eb01517f9037b9c",
    "organamnist": "68e3f8846a6bd62f0c9bf841c0d9eacc",
    "organamnist_64": "2dcccc29b88e6da5a01161ef20cda288",
    "organamnist_128": "eeae80d0a227a8d099027e1b3cfd3b60",
    "organamnist_224": "50747347e05c87dd3aaf92c49f9f3170",
    "organcmnist": "b9ceb9546e10131b32923c5bbeaea2b1",
    "organcmnist_64": "3ce34a8724ea6f548e6db4744d03b6a9",
    "organcmnist_128": "773c1f009daa3fe5d9a2a201b2a7ed94",
    "organcmnist_224": "050f5e875dc056f6768abf94ec9995d1",
    "organsmnist": "9ab87b696fb54e2a387ebe992d6ed5f1",
    "organsmnist_64": "53a6d115339d874c25e309a994ff46d3",
    "organsmnist_128": "ded0c5fa01a95dc4978b956f613e9b8e",
    "organsmnist_224": "b354719e553fbbb2513d5533f52a4cb1",
    "organmnist3d": "a0c5a1ff56af4f155c46d46fbb45a2fe",
    "organmnist3d_64": "58a2205adf14a9d0a189cb06dc78bf10",
    "nodulemnist3d": "8755a7e9e05a4d9ce80a24c3e7a256f3",
    "nodulemnist3d_64": "c47c5b7d457bf6332200d2ea6d64ecd8",
    "adrenalmnist3d": "bbd3c5a5576322bc4cdfea780653b1ce",
    "adrenalmnist3d_64": "17721accfe9fb005146a47d33bc54b2f",
    "fracturemnist3d": "6aa7b0143a6b42da40027a9dda61302f",
    "fracturemnist3d_64": "f01d7e6316aedf4210da0da5b7437b42",
    "vesselmnist3d": "b41fd4f7e7e2feedddb201585ecafa1b",
    "vesselmnist3d_64": "6bb274a8846e1097066dcd64e2c4520f",
    "synapsemnist3d": "1235b78a3cd6280881dd7850a78eadb6",
    "synapsemnist3d_64": "43bd14ebf3af9d3dd072446fedc14d5e",
}
_ISIC_AT = "https://isic-challenge-data.s3.amazonaws.com/2018/"
_ISIC = {
    "training": {
        "ISIC2018_Task1-2_Training_Input": "80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f",
        "ISIC2018_Task1_Training_GroundTruth": "99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c",
    },
    "validation": {
        "ISIC2018_Task1-2_Validation_Input": "0ea920fcfe512d12a6e620b50b50233c059f67b10146e1479c82be58ff15a797",
        "ISIC2018_Task1_Validation_GroundTruth": "f6911e9c0a64e6d687dd3ca466ca927dd5e82145cb2163b7a1e5b37d7a716285",
    },
    "test": {
        "ISIC2018_Task1-2_Test_Input": "e59ae1f69f4ed16f09db2cb1d76c2a828487b63d28f6ab85997f5616869b127d",
        "ISIC2018_Task1_Test_GroundTruth": "2e8f6edce454a5bdee52485e39f92bd6eddf357e81f39018d05512175238ef82",
    },
}

PARTS: dict[str, dict[str, tuple[Remote, ...]]] = {
    "msd": {task: (Remote(f"{_MSD_AT}{task}.tar", f"md5:{md5}", unpack=task),) for task, md5 in _MSD.items()},
    "medmnist": {
        name: (Remote(f"{_MEDMNIST_AT}{name}.npz?download=1", f"md5:{md5}"),)
        for name, md5 in _MEDMNIST.items()
    },
    "isic2018": {
        part: tuple(Remote(f"{_ISIC_AT}{n}.zip", f"sha256:{sha}", unpack=n) for n, sha in files.items())
        for part, files in _ISIC.items()
    },
    "promise12": {
        "training": (
            Remote(
                "https://zenodo.org/records/8026660/files/training_data.zip",
                "sha256:150287d0c74cd0105d8b70b43af4a7bf4f1fd3e1748829779177a0ccaf948f45",
                unpack="training_data",
            ),
        )
    },
    "acdc": {
        "database": (
            Remote(
                "https://humanheart-project.creatis.insa-lyon.fr/database/api/v1/collection/637218c173e9f0047faa00fb/download",
                "sha256:2787e08b0d3525cbac710fc3bdf69ee7c5fd7446472e49db8bc78548802f6b5e",
                unpack="ACDC",
            ),
        )
    },
    "kvasir": {
        "v2": (
            Remote(
                "https://datasets.simula.no/downloads/kvasir/kvasir-dataset-v2.zip",
                unpack="kvasir-dataset-v2",
            ),
        )
    },
}
"""Files of each part of each data set that has public direct addresses."""


def parts_of(dataset: str) -> dict[str, tuple[Remote, ...]]:
    """What can be downloaded of a data set, by part; a plug-in says so by ``info["parts"]``. Empty where nothing can."""
    told = components("dataset")[dataset].info.get("parts") if dataset in components("dataset") else None
    return dict(told or PARTS.get(dataset, {}))


def part_of(dataset: str, part: str) -> tuple[Remote, ...]:
    """Files of one part; an empty `part` will do where there is one only.

    Raises `SettingError` that lists the parts, or says where to look for a data set that has no direct address.
    """
    known = parts_of(dataset)
    if not known:
        source = get("dataset", dataset).info.get("source", "")
        raise SettingError(
            f"There is no public direct address of '{dataset}', so it cannot be downloaded from here."
            + (f" See {source}." if source else "")
            + f" Lay it out as `curette datasets {dataset}` describes, then check it with --check DIR."
        )
    if not part and len(known) == 1:
        part = next(iter(known))
    if not part:
        raise SettingError(f"'{dataset}' comes in parts. Say which with --part: {', '.join(known)}.")
    if part not in known:
        raise unknown(f"part of '{dataset}'", part, known)
    return known[part]


def download(dataset: str, part: str, folder: Path, progress: Progress | None = None) -> list[Path]:
    """Download one part of a data set to a folder and unpack it there; what is there already is left alone.

    Archives are deleted once they are unpacked. `progress` is called with (what is being done, bytes done, bytes in all
    or None). Returns the folders and files. Raises what `part_of`, `fetch` and `unpack` raise.
    """
    found = []
    for remote in part_of(dataset, part):
        path = folder / remote.name
        if remote.unpack and (folder / remote.unpack).is_dir():
            found.append(folder / remote.unpack)
            continue
        fetch(remote, path, _as(progress, f"downloading {remote.name}"))
        if remote.unpack:
            found.append(unpack(path, folder, remote.unpack, _as(progress, f"unpacking {remote.name}")))
            path.unlink()
        else:
            found.append(path)
    return found


def _as(progress: Progress | None, phase: str) -> Meter | None:
    return (lambda done, total: progress(phase, done, total)) if progress else None
