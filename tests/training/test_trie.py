import random

import numpy as np
import torch

from spatialreasoner.training.trie import TrieNode, TrieRow, grow


def row(tokens, *, prompt=1, start=0):
    return TrieRow(keys=np.array(tokens)[:, None], source=np.arange(start, start + len(tokens)), prompt=prompt)


def test_a_trie_by_hand():
    rows = [row([1, 2, 3, 4], prompt=2), row([1, 2, 3, 5], prompt=2, start=10), row([1, 7], start=20), row([8, 9], start=30)]
    trie = grow(rows)
    assert trie.nodes == [
        TrieNode(start=0, stop=1, end=6, parent=-1),  # 1
        TrieNode(start=1, stop=3, end=5, parent=0),  # 2 3
        TrieNode(start=3, stop=4, end=4, parent=1),  # 4
        TrieNode(start=4, stop=5, end=5, parent=1),  # 5
        TrieNode(start=5, stop=6, end=6, parent=0),  # 7
        TrieNode(start=6, stop=8, end=8, parent=-1),  # 8 9
    ]
    assert trie.source.tolist() == [0, 1, 2, 3, 13, 21, 30, 31]
    assert trie.places.tolist() == [0, 1, 2, 3, 3, 1, 0, 1]
    assert [path.tolist() for path in trie.paths] == [[0, 1, 2, 3], [0, 1, 2, 4], [0, 5], [6, 7]]
    assert trie.scored.tolist() == [2, 3, 4, 5, 7]
    assert trie.predicted_at.tolist() == [1, 2, 2, 0, 6]
    assert trie.scored[trie.order].tolist() == [2, 3, 2, 4, 5, 7]  # the third token is of two responses, and scored once


def test_a_row_that_another_begins_with_needs_no_node_of_its_own():
    trie = grow([row([1, 2, 3]), row([1, 2]), row([1, 2, 3])])
    assert len(trie.nodes) == 1
    assert [path.tolist() for path in trie.paths] == [[0, 1, 2], [0, 1], [0, 1, 2]]


def test_every_prefix_is_in_it_once():
    chance = random.Random(0)
    for _ in range(50):
        tokens = [[0, *(chance.randrange(3) for _ in range(chance.randrange(1, 9)))] for _ in range(chance.randrange(1, 9))]
        trie = grow([row(each, start=100 * number) for number, each in enumerate(tokens)])
        assert len(trie) == len({tuple(each[: length + 1]) for each in tokens for length in range(len(each))})
        known = {100 * number + place: token for number, each in enumerate(tokens) for place, token in enumerate(each)}
        for each, path in zip(tokens, trie.paths, strict=True):
            assert [known[source] for source in trie.source[path].tolist()] == each
            assert trie.places[path].tolist() == list(range(len(each)))
            seen = torch.cat([torch.arange(node.start, node.stop) for node in lineage(trie, int(path[-1]))])
            assert set(path.tolist()) <= set(seen.tolist())


def lineage(trie, token):
    node = trie.node_of(token)
    return [*trie.ancestors(node), node]
