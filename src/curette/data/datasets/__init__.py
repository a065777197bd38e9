"""Layouts of data sets, one file each; importing this package registers the built-in ones."""

from __future__ import annotations

from curette.data.case import Dataset
from curette.data.check import printable, utf8
from curette.data.datasets import (
    acdc,
    acdc_h5,
    brats2019,
    covid_qu,
    folder,
    isic2018,
    kits19,
    kvasir,
    left_atrium,
    lesions,
    medmnist,
    msd,
    own,
    phantom,
    promise12,
    segthor,
)
from curette.errors import DataError
from curette.recipe import Data
from curette.registry import bind

__all__ = [
    "acdc",
    "acdc_h5",
    "brats2019",
    "covid_qu",
    "folder",
    "isic2018",
    "kits19",
    "kvasir",
    "left_atrium",
    "lesions",
    "medmnist",
    "msd",
    "open_dataset",
    "own",
    "phantom",
    "promise12",
    "segthor",
]


def open_dataset(data: Data) -> Dataset:
    """List the cases of the data set that `data` names, without loading images.

    Raises `SettingError` for an unknown data set or option, and `DataError` naming every file that is bad.
    """
    if data.root and not utf8(str(data.root)):
        raise DataError(f"The name of the folder {printable(str(data.root))} is not UTF-8. Rename it.")
    dataset: Dataset = bind("dataset", data.dataset, **data.options)(data.root, data.skip_bad)
    return dataset
