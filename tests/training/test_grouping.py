from collections import Counter

import pytest
import torch
from datasets import Dataset, Image, List

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.scenes.files import read_image
from spatialreasoner.training.fdpo import FDPOConfig
from spatialreasoner.training.grouping import GroupedSampler, adjacent, arrange, row_keys, share


def keys_of(*counts):
    """Keys of images with the given numbers of rows, all of different prompts."""
    return [(f"image{image}", f"{image}-{row}") for image, count in enumerate(counts) for row in range(count)]


def order(keys, batch, window=10**6, seed=0):
    return arrange(keys, batch=batch, window=window, generator=torch.Generator().manual_seed(seed))


def batches(found, batch):
    return [found[start : start + batch] for start in range(0, len(found), batch)]


def images_per_batch(keys, found, batch):
    return [len({keys[row][0] for row in rows}) for rows in batches(found, batch)]


def test_every_row_comes_once_and_whole_images_fill_whole_batches():
    keys = keys_of(*[8] * 20)
    found = order(keys, 8)
    assert sorted(found) == list(range(160))
    assert images_per_batch(keys, found, 8) == [1] * 20
    assert [keys[rows[0]][0] for rows in batches(found, 8)] != [f"image{image}" for image in range(20)]  # shuffled


def test_what_is_left_of_images_fills_batches_with_as_few_images_as_fit():
    keys = keys_of(5, 3, 6, 2, 4, 4, 11)
    found = order(keys, 8)
    assert sorted(found) == list(range(len(keys)))
    # 5 + 3, 6 + 2, 4 + 4, and 11 as 8 and 3
    assert sorted(images_per_batch(keys, found, 8)) == [1, 1, 2, 2, 2]
    assert len(batches(found, 8)[-1]) == 3


@pytest.mark.parametrize("batch", [2, 3, 8])
@pytest.mark.parametrize("counts", [(1,) * 17, (3,) * 9, (7, 7, 1, 1), (2, 9, 4, 4, 4, 1), ()])
def test_every_batch_but_the_last_is_full(batch, counts):
    keys = keys_of(*counts)
    for seed in range(5):
        assert sorted(order(keys, batch, seed=seed)) == list(range(len(keys)))


def test_rows_stay_within_their_window():
    keys = keys_of(*[8] * 20)
    shuffled = torch.randperm(160, generator=torch.Generator().manual_seed(3)).tolist()
    found = order(keys, 8, window=30, seed=3)  # rounded up to 32
    for start in range(0, 160, 32):
        assert sorted(found[start : start + 32]) == sorted(shuffled[start : start + 32])
    assert sum(images_per_batch(keys, found, 8)) < sum(images_per_batch(keys, shuffled, 8))


def test_pairs_of_a_prompt_stand_side_by_side_within_an_image():
    keys = [("image", f"prompt{number % 3}") for number in range(12)]
    for rows in batches(order(keys, 4), 4):
        assert len({keys[row] for row in rows}) == 1
    assert [keys[row][1] for row in adjacent(keys)] == ["prompt0"] * 4 + ["prompt1"] * 4 + ["prompt2"] * 4


def test_rows_without_images_are_grouped_by_their_prompts():
    keys = [("", f"prompt{number % 2}") for number in range(8)]
    assert share(keys)
    assert all(len({keys[row] for row in rows}) == 1 for rows in batches(order(keys, 4), 4))
    assert not share([("", "one"), ("", "two"), ("image", "one")])


def test_an_epoch_is_the_same_again_and_another_is_not():
    sampler = GroupedSampler(keys_of(*[4] * 30), batch=4, window=1000, seed=7)
    first = list(sampler)
    assert len(sampler) == len(first) == 120
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_keys_tell_images_apart_by_path_and_by_bytes(image_paths):
    prompt = [{"role": "user", "content": "What is it?"}]
    rows = [{"images": [path], "prompt": prompt} for path in [*image_paths, image_paths[0]]]
    by_path = Dataset.from_list(rows)
    by_bytes = Dataset.from_list([{**row, "images": [read_image(path) for path in row["images"]]} for row in rows])
    decoded = by_path.cast_column("images", List(Image()))
    for dataset in (by_path, by_bytes, decoded):
        assert list(Counter(row_keys(dataset)).values()) == [2, 1, 1]


def test_regions_tell_rows_of_an_image_apart(image_paths):
    rows = [{"images": image_paths[:1], "prompt": "?", "regions": regions} for regions in ("[1]", "[2]", "[1]")]
    keys = row_keys(Dataset.from_list(rows))
    assert keys[0] == keys[2] != keys[1]


def test_a_negative_window_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="group_window"):
        FDPOConfig(output_dir=str(tmp_path), bf16=False, use_cpu=True, activation_checkpointing=False, group_window=-1)
