import pkgutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spatialreasoner.core.types import Scene, SceneObject
from spatialreasoner.rewards.known import MAX_COMPARED, Known, KnownScenes
from spatialreasoner.scenes.masks import encode
from spatialreasoner.scenes.measure import Measured


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[object]:
    """What a function is called with from now on."""
    function, calls = pkgutil.resolve_name(name), list[object]()
    monkeypatch.setattr(name, lambda given: calls.append(given) or function(given))
    return calls


def thing(region_id: str | None, kind: str, colour: str) -> SceneObject:
    return SceneObject(
        region_id=region_id, kind=kind, colour=colour, centre=(0.0, 0.0, 2.0), size=(0.5, 0.5, 0.5), yaw=0.0,
        visible=1.0, supported_by=None,
    )  # fmt: skip


def test_colours_are_measured_under_the_mask(known: Known):
    assert known.colour_score("region2", "blue") == 1.0
    assert known.colour_score("region2", "green") < 0.2


def test_a_label_tells_a_colour_that_the_image_hides(make_scene: Callable[..., Scene]):
    scene = make_scene()
    grey = replace(scene, regions=(replace(scene.regions[0], label="silver ball"), *scene.regions[1:]))
    assert Known(Measured(grey)).colour_score("region1", "silver") == 1.0
    assert Known(Measured(grey)).colour_score("region1", "gray") == 1.0  # silver may be called so
    assert Known(Measured(grey)).colour_score("region1", "green") < 0.2


def test_known_objects_decide_over_the_image(scene: Scene):
    known = Known(Measured(replace(scene, objects=(thing("region1", "cube", "yellow"), thing(None, "lamp", "white")))))
    assert known.closed
    assert known.colour_score("region1", "yellow") == 1.0
    assert known.colour_score("region1", "red") == 0.0
    assert known.has("cube") is known.has("lamp") is True
    assert known.has("giraffe") is False
    assert known.has("wall") is None
    assert known.has("object") is None


def test_in_a_photo_what_is_not_listed_is_unknown(known: Known):
    assert not known.closed
    assert known.has("ball") is True
    assert known.has("giraffe") is None


def test_a_more_special_name_fits(make_scene: Callable[..., Scene]):
    scene = make_scene()
    chair = replace(scene, regions=(replace(scene.regions[0], label="chair"), *scene.regions[1:]))
    known = Known(Measured(chair))
    assert known.fits("region1", "office chair")
    assert known.fits("region1", "furniture")
    assert not known.fits("region1", "washing machine")
    assert known.terms["chair"] == ("region1",)


def test_sizes_are_told_among_the_scene(known: Known):
    assert known.size_score("region2", "large") == 1.0
    assert known.size_score("region3", "large") == pytest.approx(0.0, abs=0.3)
    assert known.size_score("region3", "small") == 1.0
    assert known.size_score("region2", "tall") == 1.0


def test_sizes_without_depth_are_unknown(make_scene: Callable[..., Scene]):
    assert Known(Measured(make_scene(depth=None))).size_score("region1", "large") is None


def test_a_scene_that_waits_holds_no_pixels_and_measures_on(make_scene: Callable[..., Scene]):
    scenes = {name: make_scene(name=name) for name in ("a", "b")}
    kept = KnownScenes(scenes)
    first = kept.get("a")
    width = first.measured.quantity("width", "region1")
    assert pixels(first.measured)
    kept.get("b")
    assert not pixels(first.measured)
    assert kept.get("a") is first
    assert first.measured.quantity("width", "region1") is width
    assert first.measured.quantity("width", "region2").value is not None


def pixels(measured: Measured) -> list[np.ndarray]:
    """The images that it holds."""
    return [held for held in vars(measured).values() if isinstance(held, np.ndarray)]


def empty(scene: Scene, number: int) -> Scene:
    """The scene with a region that has no pixel."""
    regions = list(scene.regions)
    regions[number] = replace(regions[number], label="thing", mask=encode(np.zeros((240, 320), dtype=bool)))
    return replace(scene, regions=tuple(regions))


def test_a_region_without_a_pixel_has_no_colour_and_no_size(make_scene: Callable[..., Scene]):
    known = Known(Measured(empty(make_scene(), 0)))
    assert known.colour_score("region1", "red") is None
    assert known.size_score("region1", "large") is None
    assert known.size_score("region2", "large") == 1.0
    assert known.colour_score("region2", "blue") == 1.0


def test_of_a_thousand_regions_only_those_that_count_are_looked_at(
    make_scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
):
    lifted = counted(monkeypatch, "spatialreasoner.scenes.measure.decode")
    coloured = counted(monkeypatch, "spatialreasoner.rewards.known.decode")
    images = counted(monkeypatch, "spatialreasoner.rewards.known.read_image")
    scene = make_scene()
    many = tuple(replace(scene.regions[k % 3], id=f"region{k + 1}", label="toy ball") for k in range(1000))
    known = Known(Measured(replace(scene, regions=many)))
    assert known.size_score("region1000", "small") is not None
    assert 1 < len(lifted) <= MAX_COMPARED + 1
    assert known.colour_score("region2", "blue") == 1.0
    assert known.colour_score("region2", "red") == 0.0
    assert len(coloured) == 1
    assert len(known.terms["ball"]) == 1000
    assert known.colour_score("region5", "blue") == 1.0
    assert len(images) == 1
    known.release()
    assert known.colour_score("region8", "blue") == 1.0
    assert len(images) == 2
