import pytest
import torch

from spatialreasoner.vlm.region_encoder import RegionEncoder, geometry, pool


def mask(left, top, right, bottom, side=8):
    found = torch.zeros(side, side, dtype=torch.uint8)
    found[top:bottom, left:right] = 255
    return found


def test_geometry_by_hand():
    # 2 x 4 of 8 x 8 cells, from column 2 to 4 and row 4 to 8
    expected = [0.25, 0.5, 0.5, 1.0, 0.375, 0.75, (8 / 64) ** 0.5]
    torch.testing.assert_close(geometry(mask(2, 4, 4, 8)), torch.tensor(expected))


def test_cells_that_are_covered_in_part_count_in_part():
    half = mask(0, 0, 8, 8)
    half[:, 4:] = 51  # a fifth
    left, top, right, bottom, x, y, size = geometry(half).tolist()
    assert (left, top, right, bottom, y) == pytest.approx((0, 0, 1, 1, 0.5))
    assert x == pytest.approx((0.25 + 0.75 / 5) / 1.2)
    assert size == pytest.approx(0.6**0.5)


def test_an_empty_mask_is_nowhere():
    assert geometry(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)).tolist() == [[[0.0] * 7] * 3] * 2


def test_pooling_weighs_cells_by_what_is_covered():
    features = torch.tensor([[0.0, 1], [10, 1], [20, 1], [30, 1], [40, 1], [50, 1]])  # 2 rows of 3 cells
    regions = torch.stack([mask(0, 0, 4, 6, side=12), mask(4, 0, 10, 12, side=12), torch.zeros(12, 12, dtype=torch.uint8)])
    # The second covers the middle column whole and half of the right one
    expected = torch.tensor([[0.0, 1], [(10 + 20 / 2 + 40 + 50 / 2) / 3, 1], [0, 0]])
    torch.testing.assert_close(pool(features, (2, 3), regions), expected)


def test_an_encoder_starts_at_zero_and_describes_given_regions_alone():
    encoder = RegionEncoder(16)
    images, grids = [torch.randn(4, 16), torch.randn(6, 16)], [(2, 2), (2, 3)]
    masks = torch.stack([mask(0, 0, 4, 4), mask(2, 2, 8, 8), mask(0, 0, 0, 0), mask(1, 1, 2, 2)]).view(2, 2, 8, 8)
    assert not encoder(images, grids, masks).any()
    torch.nn.init.normal_(encoder.last.weight)
    torch.nn.init.normal_(encoder.last.bias)
    found = encoder(images, grids, masks)
    assert found.shape == (2, 2, 16)
    assert found.any(-1).tolist() == [[True, True], [False, True]]
    assert encoder(images, grids, masks[:, :0]).shape == (2, 0, 16)
