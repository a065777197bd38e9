import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from curette.data.labels import decode, encode
from curette.errors import DataError
from curette.task import Task

TASK = Task(kind="segmentation", dims=2, classes={"background": 0, "tumour": 255, "organ": -3, "far": 10**9})
PLAIN = Task(kind="segmentation", dims=2, classes={"background": 0, "organ": 7})


@given(
    hnp.arrays(
        np.int64, hnp.array_shapes(max_dims=3, max_side=5), elements=st.sampled_from([0, 255, -3, 10**9])
    )
)
def test_there_and_back(raw) -> None:
    indices = encode(raw, TASK, "a.png")
    assert indices.dtype == np.uint8
    np.testing.assert_array_equal(decode(indices, TASK), raw)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int64])
def test_every_integer_type(dtype) -> None:
    raw = np.array([[0, 7], [7, 0]], dtype)
    np.testing.assert_array_equal(encode(raw, PLAIN, "a"), [[0, 1], [1, 0]])


def test_not_annotated_stays_so_unless_a_class_has_that_value() -> None:
    np.testing.assert_array_equal(encode(np.array([0, 7, 255]), PLAIN, "a"), [0, 1, 255])
    np.testing.assert_array_equal(encode(np.array([0, 255]), TASK, "a"), [0, 1])


@pytest.mark.parametrize("far", [9, 10**9])
def test_unknown_values_name_file_values_and_classes(far: int) -> None:
    raw = np.array([0, 7, 3, far, 3])
    with pytest.raises(DataError) as caught:
        encode(raw, PLAIN, "mask_17.png")
    for part in ("mask_17.png", "2 unknown", f"(3, {far})", "in 3 places", "background = 0", "organ = 7"):
        assert part in str(caught.value)


def test_jpeg_masks_are_explained() -> None:
    with pytest.raises(DataError, match=r"300 unknown label values .*…\).*save labels as PNG"):
        encode(np.arange(1000, 1300), PLAIN, "mask.jpg")
