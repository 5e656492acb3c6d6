import asyncio
from collections.abc import AsyncGenerator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import captures
from spatialreasoner.app.asked_scene import asked_regions, asked_scene, read_regions
from spatialreasoner.app.regions import Sight
from spatialreasoner.app.terminal import AskConfig, ask_in_terminal, caution_about
from spatialreasoner.core.errors import ConfigError, InputError, MissingFileError, SceneError, WorkError
from spatialreasoner.core.types import Prompt

ANSWER = "<description>A \x1b[31mbox.</description>\n<reasoning>Look here.</reasoning>\n### In Conclusion\n[bold]Yes."


class Slow:
    """A model that writes its answer three characters at a time."""

    name = "slow"

    def __init__(self, text: str) -> None:
        self.text = text

    async def complete(self, prompt, *, n, seed):
        raise AssertionError("it can be read while it writes")

    async def stream(self, prompt: Prompt, *, seed: int) -> AsyncGenerator[str]:
        for start in range(0, len(self.text), 3):
            yield self.text[start : start + 3]


@pytest.fixture
def image(tmp_path):
    Image.new("RGB", (60, 40), (90, 120, 150)).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


@pytest.fixture
def told(image, monkeypatch):
    """What a model is asked for about two of eleven regions, and what the terminal shows of its answer."""

    def told(written):
        monkeypatch.setattr("spatialreasoner.inference.registry.named_policy", lambda *_: Slow(written))
        file = StringIO()
        boxes = tuple(f"{5 * n},0,{5 * n + 5},9" for n in range(11))
        question = "Is <region2> left of <region11>?"
        text = ask_in_terminal(
            AskConfig(image=image, question=question, regions=boxes, model="slow"), console=Console(file=file, width=60)
        )
        return text, [line for line in file.getvalue().splitlines() if line]

    return told


def test_segments_are_shown_as_they_are_written(told):
    text, lines = told(ANSWER)
    assert text == ANSWER
    assert lines == ["description", "A \ufffd[31mbox.", "reasoning", "Look here.", "conclusion", "[bold]Yes."]


def test_regions_are_called_as_they_were_drawn(told):
    """The model knows the second and the eleventh region alone, as its first and second."""
    written = (
        "<description><region1> and <region2>.</description>\n<reasoning><region3></reasoning>\n### In Conclusion\n<region2>."
    )
    text, shown = told(written)
    assert text == written.replace("<region2>", "<region11>").replace("<region1>", "<region2>")
    assert shown == ["description", "<region2> and <region11>.", "reasoning", "<region3>", "conclusion", "<region11>."]


def test_it_answers_where_an_event_loop_runs_as_in_a_notebook(told):
    async def cell():
        return told(ANSWER)

    assert asyncio.run(cell())[0] == ANSWER


def test_an_answer_without_a_word_is_a_failure(told):
    with pytest.raises(WorkError, match="wrote nothing"):
        told(" ")


@pytest.mark.parametrize(
    ("regions", "question", "error", "said"),
    [
        (("1,2,3",), "Is <region1> tall?", SceneError, "region 1: a region is a box"),
        (("1,2,9,9", "70,2,90,9"), "Is <region1> left of <region2>?", SceneError, "region 2: .* outside the image"),
        (("1,2,9,9", "1,2,9,19"), "Is <region1> tall?", ConfigError, "<region1> to <region2>; it names <region1>"),
        (("1,2,9,9",), "Is it tall?", ConfigError, "it names none"),
        ((), "Is <region1> tall?", InputError, "no region is drawn"),
        (("mask.png",), "Is <region1> tall?", MissingFileError, "mask.png"),
        (("1,2,9,9",), "Is <region1> tall?", ConfigError, "NAME one of"),
    ],
)
def test_what_is_wrong_is_told(image, regions, question, error, said):
    with pytest.raises(error, match=said):
        ask_in_terminal(AskConfig(image=image, question=question, regions=regions, model="scripted:nobody"))


def test_the_marked_image_is_written(image, tmp_path):
    config = AskConfig(
        image=image, question="Is <region1> tall?", regions=("5,5,30,30",), model="scripted:nobody",
        save_marked=str(tmp_path / "marked.png"),
    )  # fmt: skip
    with pytest.raises(ConfigError):
        ask_in_terminal(config)
    marked = np.asarray(Image.open(tmp_path / "marked.png"))
    assert (marked != (90, 120, 150)).any(axis=2)[5:30, 5:30].all()
    assert (marked == (90, 120, 150)).all(axis=2)[31:].all()


def test_regions_are_called_by_their_number():
    assert [region.id for region in read_regions(["1,2,9,9", "1,2 9,9 9,20"], Sight(size=(40, 60)))] == ["region1", "region2"]


def test_on_other_images_than_rooms_the_nano_says_what_it_was_trained_on():
    policy = Slow(ANSWER)
    assert caution_about(policy, "photo.jpg") is None
    policy.model_type = "spatialreasoner_nano"
    for image in ("photo.jpg", "basement/image.png", "synthetic-1-000002-copy.png"):
        assert "trained on synthetic rooms alone" in (caution_about(policy, image) or "")
    assert caution_about(policy, "scenes/images/synthetic-2199023255552-000017.png") is None


def test_images_of_synthetic_scenes_are_called_as_it_expects(tmp_path):
    from spatialreasoner.scenes import synthetic

    synthetic.write_synthetic(synthetic.SyntheticConfig(count=1, seed=3), tmp_path)
    policy = Slow(ANSWER)
    policy.model_type = "spatialreasoner_nano"
    (image,) = (tmp_path / "images").glob("*.png")
    assert caution_about(policy, str(image)) is None


def test_a_capture_is_asked_about_a_box_means_the_thing_and_the_answer_is_checked(tmp_path, monkeypatch):
    path = captures.record3d(tmp_path)
    scene = asked_scene(path, tmp_path, frame=1)
    (cut,) = asked_regions(["10,10,40,40"], scene)
    (whole,) = asked_regions(["10,10,40,40"], scene, keep_boxes=True)
    assert (cut.region_source, whole.region_source) == ("box, cut out by depth and colour", "box")
    with pytest.raises(ConfigError, match="`frame` from 0 to 1"):
        asked_scene(path, tmp_path, frame=2)
    file = StringIO()
    written = "<description>A thing.</description>\n<reasoning>Look.</reasoning>\n### In Conclusion\n<region1> is 90 m wide."
    monkeypatch.setattr("spatialreasoner.inference.registry.named_policy", lambda *_: Slow(written))
    config = AskConfig(image=str(path), question="How wide is <region1>?", regions=("10,10,40,40",), model="slow")
    ask_in_terminal(config, console=Console(file=file, width=200))
    assert "<region1> is" in file.getvalue()
    assert "checked against the depth" in file.getvalue()
    assert "does not hold: <region1> is 90 m wide" in file.getvalue()


def test_depth_in_a_file_of_its_own(image, tmp_path):
    Image.fromarray(np.full((40, 60), 1500, np.uint16)).save(tmp_path / "measured.png")
    (tmp_path / "made").mkdir()
    with pytest.raises(InputError, match="expected its camera"):
        asked_scene(Path(image), tmp_path / "made", depth=str(tmp_path / "measured.png"))
    scene = asked_scene(Path(image), tmp_path, depth=str(tmp_path / "measured.png"), camera="50,50,29.5,19.5")
    assert scene.depth is not None
    assert scene.intrinsics is not None
    assert asked_scene(Path(image), tmp_path).depth is None
