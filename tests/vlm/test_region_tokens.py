"""Whose image each token's region is of."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialreasoner.vlm.region_tokens import fourier, latest_image, place_regions


def test_fourier_features_by_hand():
    features = fourier(torch.tensor([[0.5]]), lowest=math.pi, octaves=6)[0]
    assert features[0] == 0.5
    torch.testing.assert_close(features[1:7], torch.tensor([1.0, 0, 0, 0, 0, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(features[7:], torch.tensor([0.0, -1, 1, 1, 1, 1]), atol=1e-5, rtol=0)


def test_images_are_counted_from_scratch_in_each_conversation():
    row = torch.tensor([[0, 1, 1, 0, 0, 0, 1, 0]]).bool()
    sizes = torch.tensor([2, 1])
    assert latest_image(row, sizes).tolist() == [[-1, 0, 0, 0, 0, 0, 1, 1]]
    packed = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]])
    assert latest_image(row, sizes, packed).tolist() == [[-1, 0, 0, 0, -1, -1, 1, 1]]
    starting = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 1]])
    assert latest_image(row, sizes, starting).tolist() == [[-1, 0, 0, 0, 0, 0, 1, 1]]


def test_with_several_axes_a_conversation_begins_where_all_are_zero():
    row = torch.tensor([[1, 1, 1, 1, 0, 0]]).bool()
    axes = torch.tensor([[[0, 0, 0, 0, 2, 0]], [[0, 0, 1, 1, 2, 0]], [[0, 1, 0, 1, 2, 0]]])
    assert latest_image(row, torch.tensor([4]), axes).tolist() == [[0, 0, 0, 0, 0, -1]]


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=4))
def test_packing_changes_no_tokens_image(conversations):
    """Conversations in rows of their own, and one after the other in one row; a number is the size of an image, 0 is text."""
    rows = [[0] + [kind for size in row for kind in [0, *[1] * size]] for row in conversations]
    sizes = torch.tensor([size for row in conversations for size in row if size], dtype=torch.long)
    width = max(map(len, rows))
    apart = latest_image(torch.tensor([row + [0] * (width - len(row)) for row in rows]).bool(), sizes)
    positions = torch.tensor([[index for row in rows for index in range(len(row))]])
    packed = latest_image(torch.tensor([[token for row in rows for token in row]]).bool(), sizes, positions)
    assert packed[0].tolist() == [image for found, row in zip(apart.tolist(), rows, strict=True) for image in found[: len(row)]]


def test_vectors_are_added_where_their_regions_are_named():
    vectors = torch.tensor([[[1.0], [2]], [[3], [4]]])
    numbers = torch.tensor([[-1, 0, 1, 7, 1], [1, -1, 0, 1, -1]])
    latest = torch.tensor([[0, 0, 1, 1, -1], [-1, -1, 0, 0, 0]])
    added, last = place_regions(torch.zeros(2, 5, 1), numbers, latest, vectors, vectors + 10)
    # <region8> is not there; where there is no image yet, the row's own of before is meant
    assert added[..., 0].tolist() == [[0, 1, 4, 0, 12], [14, 0, 1, 2, 0]]
    assert last[..., 0].tolist() == [[11, 12], [1, 2]]
    added, last = place_regions(torch.zeros(2, 5, 1), numbers, latest, vectors)
    assert added[..., 0].tolist() == [[0, 1, 4, 0, 0], [0, 0, 1, 2, 0]]
    assert last[..., 0].tolist() == [[0, 0], [1, 2]]
