import numpy as np
import pytest

from spatialreasoner.language import colours


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((205, 38, 38), "red"), ((240, 130, 25), "orange"), ((245, 212, 45), "yellow"), ((48, 155, 62), "green"),
        ((55, 195, 190), "turquoise"), ((38, 82, 205), "blue"), ((128, 58, 168), "purple"), ((245, 140, 180), "pink"),
        ((120, 72, 38), "brown"), ((242, 242, 240), "white"), ((128, 129, 131), "grey"), ((30, 30, 33), "black"),
    ],
)  # fmt: skip
def test_plain_colours_go_by_their_names(rgb: tuple[int, int, int], name: str):
    shares = colours.shares(np.array([rgb] * 3, dtype=np.uint8))
    assert shares[name] == 1.0
    assert sum(shares.values()) == pytest.approx(1)
    assert colours.colour_score(name, shares) == 1.0


def test_many_pixels_are_told_apart_as_few_are():
    few = np.random.default_rng(0).integers(0, 255, (1000, 3), dtype=np.uint8)
    assert colours.shares(np.tile(few, (600, 1))) == pytest.approx(colours.shares(few))
    assert set(colours.shares(few[:0]).values()) == {0.0}


def test_a_word_scores_by_the_share_that_fits_and_neighbours_earn_a_part():
    seen = {"white": 0.5, "grey": 0.5}
    assert colours.colour_score("white", seen) == 1.0
    assert colours.colour_score("silver", seen) == 1.0
    assert colours.colour_score("black", seen) == pytest.approx(0.4)  # 0.5 of the grey half, limited to what neighbours earn
    assert colours.colour_score("green", {"red": 1.0}) == 0.0


def test_a_known_colour_is_matched_by_its_word_or_an_alias():
    assert colours.score_known("gray", "grey") == 1.0
    assert colours.score_known("orange", "yellow") == 0.5
    assert colours.score_known("blue", "red") == 0.0
    assert colours.score_known("mauve", "mauve") == 1.0
