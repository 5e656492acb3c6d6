"""Photos to scenes, with rooms whose depth and regions are known in the place of models."""

import json
import math

import numpy as np
import pytest
from PIL import ExifTags, Image

from spatialreasoner.core.errors import ConfigError, InputError, MissingFileError, SceneError
from spatialreasoner.scenes import files, masks
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
from spatialreasoner.scenes.images import ImagesConfig, exif_focal, write_photos
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.synthetic import make_scene

NAMES = ("a", "b", "c")


class KnownDepth:
    """Knows the depth of the rooms in the photos; counts how often it is asked."""

    def __init__(self, metric=True, fail_at=None):
        self.metric, self.fail_at, self.asked = metric, fail_at, []

    def estimate(self, image):
        name = image.split("/")[-1][0]
        if name == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(name)
        return made(name).depth, None


def made(name):
    return make_scene(9, NAMES.index(name))


@pytest.fixture
def photos(tmp_path):
    """Three rooms as photos; the camera of the second is in its EXIF data."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in NAMES:
        exif = Image.Exif()
        if name == "b":
            exif[int(ExifTags.IFD.Exif)] = {int(ExifTags.Base.FocalLengthIn35mmFilm): 28}
        Image.fromarray(made(name).image).save(folder / f"{name}.png", exif=exif)
    (folder / "notes.txt").write_text("not a photo")
    return folder


@pytest.fixture
def regions(tmp_path):
    """The rooms' true regions as a COCO file."""
    images, annotations = [], []
    for number, name in enumerate(NAMES):
        images.append({"id": number, "file_name": f"{name}.png", "height": 128, "width": 128})
        for region in made(name).scene.regions:
            mask = {"size": list(region.mask.size), "counts": region.mask.counts}
            annotations.append({"image_id": number, "category_id": 1, "segmentation": mask})
    path = tmp_path / "coco.json"
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    path.write_text(json.dumps(coco))
    return AnnotatedRegions(path)


def config(folder, **changes):
    return ImagesConfig(**{"folder": str(folder), "depth": "known", "masks": "coco.json", "field_of_view": 60, **changes})


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_photos_become_scenes(photos, regions, tmp_path):
    counts = []
    assert write_photos(config(photos), tmp_path / "out", KnownDepth(), regions, progress=counts.append) == 3
    assert counts == [1, 2, 3]
    for scene, name in zip(files.load_scenes(tmp_path / "out"), NAMES, strict=True):
        truth = made(name)
        assert scene.id == name
        assert [region.mask for region in scene.regions] == [region.mask for region in truth.scene.regions]
        assert {region.label for region in scene.regions} == {"thing"}
        np.testing.assert_allclose(files.read_depth(scene.depth), truth.depth, atol=0.00051)
        assert (tmp_path / "out" / "images" / f"{name}.png").read_bytes() == (photos / f"{name}.png").read_bytes()
        assert scene.gravity is None


def test_the_focal_length_is_from_exif_or_else_from_the_field_of_view(photos, regions, tmp_path):
    """28 mm on a diagonal of 43.27 mm: 28 / 43.27 x 181.02 = 117.1 pixels. 60 degrees on 128 pixels: 64 / tan 30 = 110.9."""
    write_photos(config(photos), tmp_path / "out", KnownDepth(), regions)
    a, b, _ = (scene.intrinsics for scene in files.load_scenes(tmp_path / "out"))
    assert b.fx == b.fy == pytest.approx(117.15, abs=0.01)
    assert a.fx == a.fy == pytest.approx(64 / math.tan(math.radians(30)))
    assert (a.cx, a.cy) == (63.5, 63.5)


def test_relative_depth_is_called_relative(photos, regions, tmp_path):
    write_photos(config(photos), tmp_path / "out", KnownDepth(metric=False), regions)
    for scene in files.load_scenes(tmp_path / "out"):
        assert not scene.depth.metric
        assert "relative" in Measured(scene).quantity("width", "region1").reason


def test_an_interrupted_run_goes_on(photos, regions, tmp_path):
    write_photos(config(photos), tmp_path / "whole", KnownDepth(), regions)
    with pytest.raises(KeyboardInterrupt):
        write_photos(config(photos), tmp_path / "out", KnownDepth(fail_at="c"), regions)
    assert not (tmp_path / "out" / "scenes.jsonl").exists()
    rest = KnownDepth()
    write_photos(config(photos), tmp_path / "out", rest, regions)
    assert rest.asked == ["c"]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize("change", ["a photo is new", "a photo changed", "the depth model changed"])
def test_scenes_of_other_inputs_are_never_taken_for_these(photos, regions, tmp_path, change):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    settings = config(photos, depth=str(tmp_path / "model"))
    write_photos(settings, tmp_path / "out", KnownDepth(), regions)
    if change == "a photo is new":
        (photos / "d.png").write_bytes((photos / "a.png").read_bytes())
    elif change == "a photo changed":
        Image.fromarray(made("a").image[::-1].copy()).save(photos / "a.png")
    else:
        (tmp_path / "model" / "config.json").write_text('{"depth": 2}')
    with pytest.raises(ConfigError, match="photos changed since" if "photo" in change else "the depth model changed since"):
        write_photos(settings, tmp_path / "out", KnownDepth(), regions)


def test_only_the_largest_regions_are_kept(photos, regions, tmp_path):
    write_photos(config(photos, max_regions=2), tmp_path / "two", KnownDepth(), regions)
    write_photos(config(photos, min_share=0.05), tmp_path / "large", KnownDepth(), regions)
    for scene, name in zip(files.load_scenes(tmp_path / "two"), NAMES, strict=True):
        areas = sorted(masks.decode(region.mask).sum() for region in made(name).scene.regions)
        assert sorted(masks.decode(region.mask).sum() for region in scene.regions) == areas[-2:]
        assert [region.id for region in scene.regions] == ["region1", "region2"]
    for scene in files.load_scenes(tmp_path / "large"):
        assert all(masks.decode(region.mask).mean() >= 0.05 for region in scene.regions)


def test_a_photo_without_a_known_camera_is_refused_before_any_work(photos, regions, tmp_path):
    with pytest.raises(SceneError, match=r"a\.png.*field of view"):
        write_photos(config(photos, field_of_view=None), tmp_path / "out", KnownDepth(), regions)
    assert not (tmp_path / "out").exists()


def test_a_broken_photo_is_refused_before_any_work(photos, regions, tmp_path):
    (photos / "c.png").write_bytes((photos / "c.png").read_bytes()[:200])
    with pytest.raises(SceneError, match=r"c\.png"):
        write_photos(config(photos), tmp_path / "out", KnownDepth(), regions)
    assert not (tmp_path / "out").exists()


def test_folders_without_usable_photos_are_refused(photos, regions, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there are none"):
        write_photos(config(tmp_path / "empty"), tmp_path / "out", KnownDepth(), regions)
    with pytest.raises(MissingFileError):
        write_photos(config(tmp_path / "nowhere"), tmp_path / "out", KnownDepth(), regions)
    Image.new("RGB", (9, 9)).save(photos / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg and a\.png"):
        write_photos(config(photos), tmp_path / "out", KnownDepth(), regions)


def test_depth_of_another_size_is_refused(photos, regions, tmp_path):
    class Small(KnownDepth):
        def estimate(self, image):
            return np.ones((4, 4)), None

    with pytest.raises(SceneError, match=r"\(4, 4\)"):
        write_photos(config(photos), tmp_path / "out", Small(), regions)


@pytest.mark.parametrize("change", [{"field_of_view": 0}, {"field_of_view": 200}, {"max_regions": 0}, {"min_share": 1}])
def test_senseless_settings_are_refused(change):
    with pytest.raises(ConfigError, match="got"):
        config("photos", **change)


@pytest.mark.parametrize("value", [0, 65535, "x"])
def test_a_senseless_exif_focal_length_is_unknown(tmp_path, value):
    exif = Image.Exif()
    exif[int(ExifTags.IFD.Exif)] = {int(ExifTags.Base.FocalLengthIn35mmFilm): value}
    Image.new("RGB", (20, 10)).save(tmp_path / "photo.jpg", exif=exif)
    assert exif_focal(tmp_path / "photo.jpg", 20, 10) is None
