import math

import numpy as np
import pytest
import torch

from spatialreasoner.training.trie import TrieRow, grow
from spatialreasoner.training.trie_attention import TrieLayout, attend_trie, image_numbers

HEADS, GROUPS, WIDTH = 4, 2, 8
# Two images with questions and answers about them, and a row of its own
ROWS = [
    [1, 1, 1, 2, 3, 4, 5],
    [1, 1, 1, 2, 3, 4, 6, 7],
    [1, 1, 1, 2, 8],
    [1, 1, 1, 9, 9, 9, 9, 9, 9],
    [20, 20, 21, 22],
    [20, 20, 23],
    [30],
]


@pytest.fixture
def trie():
    return grow([TrieRow(keys=np.array(row)[:, None], source=np.arange(len(row)), prompt=1) for row in ROWS])


@pytest.fixture
def heads(trie):
    torch.manual_seed(0)
    shapes = [(1, HEADS, len(trie), WIDTH), (1, GROUPS, len(trie), WIDTH), (1, GROUPS, len(trie), WIDTH)]
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def layout_of(trie, *, images=False, only_windowed=False):
    inside = torch.zeros(len(trie), dtype=torch.bool)
    for path in (trie.paths[0][:3], trie.paths[4][:2]):
        inside[path] = True
    numbers = image_numbers(inside, trie.nodes) if images else None
    return TrieLayout(trie=trie, places=trie.places, images=numbers, only_windowed=only_windowed)


def by_hand(trie, heads, *, images=(), window=None, softcap=None, sinks=None):
    """Each row by itself; its outputs at the packed row's tokens."""
    query, key, value = (each.repeat_interleave(HEADS // each.shape[1], dim=1)[0] for each in heads)
    found = torch.zeros(HEADS, len(trie), WIDTH)
    for number, path in enumerate(trie.paths):
        scores = query[:, path] @ key[:, path].transpose(1, 2) / math.sqrt(WIDTH)
        if softcap:
            scores = softcap * torch.tanh(scores / softcap)
        places = torch.arange(len(path))
        seen = places[:, None] >= places
        size = dict(images).get(number, 0)
        seen |= (places[:, None] < size) & (places < size)
        if window:
            seen &= places > places[:, None] - window
        weights = scores.masked_fill(~seen, -torch.inf).exp()
        total = weights.sum(-1, keepdim=True)
        if sinks is not None:
            total = total + sinks.exp()[:, None, None]
        found = found.index_copy(1, path, weights / total @ value[:, path])
    return found[None]


def assert_same(trie, heads, found, expected):
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    ours, theirs = (torch.autograd.grad((each * weights).sum(), heads, retain_graph=True) for each in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


IMAGES = dict.fromkeys(range(4), 3) | {4: 2, 5: 2}


@pytest.mark.parametrize("window", [None, 1, 2, 4, 100])
@pytest.mark.parametrize("images", [False, True])
def test_each_row_sees_what_it_would_by_itself(trie, heads, window, images):
    found = attend_trie(layout_of(trie, images=images), *heads, scale=WIDTH**-0.5, window=window)
    assert_same(trie, heads, found, by_hand(trie, heads, window=window, images=IMAGES.items() if images else ()))


def test_images_are_seen_both_ways_in_layers_with_a_window_alone_where_the_family_says_so(trie, heads):
    layout = layout_of(trie, images=True, only_windowed=True)
    assert_same(trie, heads, attend_trie(layout, *heads, scale=WIDTH**-0.5), by_hand(trie, heads))
    windowed = attend_trie(layout, *heads, scale=WIDTH**-0.5, window=4)
    assert_same(trie, heads, windowed, by_hand(trie, heads, window=4, images=IMAGES.items()))


def test_sinks_and_caps_take_part(trie, heads):
    sinks = torch.randn(HEADS, requires_grad=True)
    found = attend_trie(layout_of(trie), *heads, scale=WIDTH**-0.5, window=3, softcap=2.0, sinks=sinks)
    expected = by_hand(trie, heads, window=3, softcap=2.0, sinks=sinks)
    assert_same(trie, heads, found, expected)
    ours, theirs = (torch.autograd.grad(each.square().sum(), sinks)[0] for each in (found, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert ours.abs().min() > 1e-3


def test_both_ways_of_computing_agree(trie, heads):
    query, key, value = heads
    merged = attend_trie(layout_of(trie), query, key, value, scale=WIDTH**-0.5)
    wide = torch.cat([value, value], dim=-1)  # values of another width go node by node
    assert_same(trie, heads, merged, attend_trie(layout_of(trie), query, key, wide, scale=WIDTH**-0.5)[..., :WIDTH])


def test_values_of_another_width_are_taken(trie, heads):
    value = torch.cat([heads[2], heads[2]], dim=-1)
    wide = attend_trie(layout_of(trie), *heads[:2], value, scale=WIDTH**-0.5)
    torch.testing.assert_close(wide[..., WIDTH:], attend_trie(layout_of(trie), *heads, scale=WIDTH**-0.5), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_rounds_once(trie, heads, kind):
    half = [each.detach().to(kind).requires_grad_() for each in heads]
    exact = [each.detach().float().requires_grad_() for each in half]
    found = attend_trie(layout_of(trie), *half, scale=WIDTH**-0.5)
    expected = by_hand(trie, exact)
    assert found.dtype == kind
    torch.testing.assert_close(found.float(), expected, atol=2e-2, rtol=2e-2)
    found.square().sum().backward()
    expected.square().sum().backward()
    for one, other in zip(half, exact, strict=True):
        torch.testing.assert_close(one.grad.float(), other.grad, atol=0.1, rtol=0.1)


def test_autocast_takes_heads_of_several_kinds(trie, heads):
    mixed = [heads[0].detach(), heads[1].detach(), heads[2].detach().bfloat16()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert attend_trie(layout_of(trie), *mixed, scale=WIDTH**-0.5).dtype == torch.bfloat16


def test_dropout_drops(trie, heads):
    torch.manual_seed(0)
    found = attend_trie(layout_of(trie), *heads, scale=WIDTH**-0.5, dropout=0.5)
    assert (found - by_hand(trie, heads)).abs().max() > 0.1
