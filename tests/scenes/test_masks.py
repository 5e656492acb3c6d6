import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes import masks

any_mask = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(any_mask)
def test_decode_undoes_encode(mask: np.ndarray) -> None:
    assert (masks.decode(masks.encode(mask)) == mask).all()


def test_the_masks_of_several_owners_are_those_of_each() -> None:
    owner = np.random.default_rng(0).integers(-2, 4, (30, 21), np.int16)
    owner[owner == 3] = -1  # an owner of nothing
    assert masks.encode_owned(owner, [0, 3, 2]) == [masks.encode(owner == each) for each in (0, 3, 2)]


@given(any_mask)
def test_plain_run_lengths_are_read_too(mask: np.ndarray) -> None:
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [not flat[-1]]])))
    counts = tuple(int(run) for run in np.diff(np.concatenate([[0], edges])))
    assert (masks.decode(Rle(size=(mask.shape[0], mask.shape[1]), counts=counts)) == mask).all()


@given(st.text(max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_any_text_is_a_mask_or_a_clear_error(counts: str, height: int, width: int) -> None:
    try:
        assert masks.decode(Rle(size=(height, width), counts=counts)).shape == (height, width)
    except SceneError as error:
        assert "run lengths" in str(error)  # noqa: PT017 - most texts raise, some do not


def test_a_giant_mask_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(SceneError, match="at most"):
        masks.decode(Rle(size=(1_000_000, 1_000_000), counts=(10**12,)))


def test_a_polygon_has_the_pixels_whose_middles_lie_inside() -> None:
    mask = masks.from_polygon([(1, 1), (4, 1), (4, 3), (1, 3)], (6, 7))
    assert mask.sum() == 3 * 2
    assert masks.box_of(mask) == (1, 1, 4, 3)


@pytest.mark.parametrize("points", [[], [(0, 0), (1, 1)], [(0, 0), (1, 1), (2, float("nan"))], [(0,), (1, 2), (3, 4)]])
def test_no_polygon_is_refused(points: list[tuple[float, ...]]) -> None:
    with pytest.raises(SceneError, match="3 to 100000 corners"):
        masks.from_polygon(points, (6, 7))


def test_a_box_is_end_exclusive_and_cut_to_the_image() -> None:
    assert masks.box_of(masks.from_box((2, 1, 99, 3), (6, 7))) == (2, 1, 7, 3)


@pytest.mark.parametrize("box", [(2, 1, 2, 3), (0, 0, 1), (0, 0, float("inf"), 1), (3, 0, 1, 1)])
def test_no_box_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(SceneError, match="x0 < x1"):
        masks.from_box(box, (6, 7))


def test_the_box_of_nothing_is_empty() -> None:
    assert masks.box_of(np.zeros((3, 3), dtype=bool)) == (0, 0, 0, 0)


def test_layers_count_steps_from_the_rim_both_ways() -> None:
    square = np.zeros((9, 9), dtype=bool)
    square[2:7, 2:7] = True
    assert masks.rim_layers(square, 2)[4].tolist() == [2, 1, 0, -1, -2, -1, 0, 1, 2]
    assert masks.rim_layers(square, 1)[4].tolist() == [2, 1, 0, -1, -1, -1, 0, 1, 2]
