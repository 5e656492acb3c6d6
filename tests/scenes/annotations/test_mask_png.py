import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
from spatialreasoner.scenes.annotations.mask_png import read_masks

SIZE = (48, 64)


def things():
    """Numbers: 100 pixels of 1, 50 of 2 in two parts, 30 of 300."""
    numbers = np.zeros(SIZE, dtype=np.uint16)
    numbers[2:12, 3:13] = 1
    numbers[20:25, 3:8] = 2
    numbers[20:25, 40:45] = 2
    numbers[40:45, 10:16] = 300
    return numbers


def put(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def pixels(found):
    return [int(mask.sum()) for _, mask in found]


def test_every_id_of_16_bits_is_a_region(tmp_path):
    path = put(tmp_path / "ids.png", Image.fromarray(things()))
    assert pixels(read_masks(path)) == [100, 50, 30]


def test_of_an_image_with_opacity_the_opaque_part_is_the_region(tmp_path):
    rgba = np.full((*SIZE, 4), 200, dtype=np.uint8)
    rgba[..., 3] = (things() == 1) * 255
    assert pixels(read_masks(put(tmp_path / "cutout.png", Image.fromarray(rgba)))) == [100]


def test_opacity_that_is_the_same_everywhere_tells_nothing(tmp_path):
    rgba = np.zeros((*SIZE, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    rgba[things() == 1] = [255, 0, 0, 255]
    rgba[things() == 2] = [0, 128, 0, 255]
    assert sorted(pixels(read_masks(put(tmp_path / "colours.png", Image.fromarray(rgba))))) == [50, 100]


@pytest.mark.parametrize("transparency", [None, 0])
def test_a_palette_counts_by_index_and_leaves_the_void_out(tmp_path, transparency):
    image = Image.fromarray(np.where(things() > 2, 255, things()).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + 253 * [9, 9, 9])  # Pillow packs fewer colours into fewer bits
    options = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "voc.png", **options)
    assert pixels(read_masks(tmp_path / "voc.png")) == [100, 50]


@pytest.mark.parametrize("value", [1, 7, 255])
def test_two_values_are_one_region(tmp_path, value):
    grey = ((things() > 0) * value).astype(np.uint8)
    assert pixels(read_masks(put(tmp_path / "grey.png", Image.fromarray(grey)))) == [180]
    assert pixels(read_masks(put(tmp_path / "grey.png", Image.fromarray(np.stack([grey] * 3, -1))))) == [180]


def test_softened_edges_are_cut_in_the_middle(tmp_path):
    grey = ((things() == 1) * 255).astype(np.uint8)
    grey[2:12, 2], grey[2:12, 13] = 100, 140
    assert pixels(read_masks(put(tmp_path / "soft.png", Image.fromarray(grey)))) == [110]


def test_a_label_map_of_greys_keeps_its_labels(tmp_path):
    grey = things().copy()
    grey[grey == 300] = 255
    assert pixels(read_masks(put(tmp_path / "map.png", Image.fromarray(grey.astype(np.uint8))))) == [100, 50]


@pytest.mark.parametrize("content", ["empty", "photo"])
def test_what_shows_no_regions_is_refused(tmp_path, content):
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)) if content == "photo" else np.zeros((*SIZE, 3))
    with pytest.raises(SceneError, match="1 to 1000 regions"):
        read_masks(put(tmp_path / "x.png", Image.fromarray(noise.astype(np.uint8))))


def photos(tmp_path, *names):
    for name in names:
        put(tmp_path / "photos" / name, Image.new("RGB", (SIZE[1], SIZE[0])))
    return tmp_path / "photos"


def test_a_folder_of_label_maps(tmp_path):
    folder = photos(tmp_path, "a.jpg", "a_b.jpg")
    put(tmp_path / "masks" / "a.png", Image.fromarray(things()))
    put(tmp_path / "masks" / "a_b_mask.png", Image.fromarray((things() == 1).astype(np.uint8) * 255))
    (tmp_path / "masks" / "labels.json").write_text('{"1": "cup", "300": "pen"}')
    regions = AnnotatedRegions(tmp_path / "masks", photos=folder)
    assert [(f.label, f.mask.sum()) for f in regions.find(folder / "a.jpg", SIZE)] == [
        ("cup", 100),
        ("object", 50),
        ("pen", 30),
    ]
    assert pixels([found[:2] for found in regions.find(folder / "a_b.jpg", SIZE)]) == [100]


@pytest.mark.parametrize("pattern", ["a_{}_1.png", "a/{}.png", "a.{}.png"])
def test_one_file_per_region(tmp_path, pattern):
    folder = photos(tmp_path, "a.jpg")
    for number, name in ((1, "coffee_cup"), (2, "plate")):
        put(tmp_path / "masks" / pattern.format(name), Image.fromarray((things() == number).astype(np.uint8) * 255))
    found = AnnotatedRegions(tmp_path / "masks", photos=folder).find(folder / "a.jpg", SIZE)
    assert [(f.label, f.mask.sum()) for f in found] == [("coffee cup", 100), ("plate", 50)]


def test_instances_of_pascal_voc_are_called_by_their_class(tmp_path):
    palette = [0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 128]
    instances = np.where(things() == 300, 3, things()).astype(np.uint8)
    classes = np.where(instances == 3, 1, instances).astype(np.uint8)
    for name, values in (("SegmentationObject", instances), ("SegmentationClass", classes)):
        image = Image.fromarray(values, "P")
        image.putpalette(palette)
        put(tmp_path / "voc" / name / "a.png", image)
    (tmp_path / "voc" / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncup:128,0,0::\npen:0,128,0::\n"
    )
    found = AnnotatedRegions(tmp_path / "voc").find("a.jpg", SIZE)
    assert [(f.label, f.mask.sum()) for f in found] == [("cup", 100), ("pen", 50), ("cup", 30)]


def test_a_mask_file_alone_is_of_the_photo_called_so(tmp_path):
    path = put(tmp_path / "a.png", Image.fromarray(things()))
    assert pixels([found[:2] for found in AnnotatedRegions(path).find("a.jpg", SIZE)]) == [100, 50, 30]
