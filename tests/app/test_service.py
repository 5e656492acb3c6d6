import asyncio
import base64
import re

import pytest

from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.service import App, depth_html, solid_html
from spatialreasoner.core.errors import ConfigError, InputError, SceneError


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    config = AppConfig(models=("scripted:careful", "scripted:hasty"), asks_per_minute=3)
    return App(config, tmp_path_factory.mktemp("app"))


def last(app, session, text, models):
    async def go():
        return [shown async for shown in app.ask(session, text, models)][-1]

    return [str(html) for html in asyncio.run(go())]


def drawn(app):
    session = app.begin().clear()
    for points in ([[40, 130], [180, 350]], [[400, 400], [270, 180]]):
        session = app.change(session, {"action": "add", "shape": {"tool": "box", "points": points}})
    return session


def test_drawn_regions_are_asked_about_by_two_models(app):
    answers = last(app, drawn(app), "Is <region1> to the left of <region2>?", ["scripted:careful", "scripted:hasty"])
    for name, html in zip(("careful", "hasty"), answers, strict=True):
        assert f"<h2>scripted:{name}</h2>" in html
        assert "data-truth" in html
        assert html.count('class="sr-bar"') == 4


def test_a_free_question_has_verdicts_but_no_bars(app):
    (html,) = last(app, drawn(app), "What do you make of <region1> and <region2>?", ["scripted:careful"])
    assert "data-truth" in html
    assert "sr-bar" not in html


def test_limits(app):
    session = drawn(app)
    for _ in range(3):
        last(app, session, "How wide is <region1>?", ["scripted:careful"])
    with pytest.raises(InputError, match="3 questions a minute"):
        last(app, session, "How wide is <region1>?", ["scripted:careful"])
    with pytest.raises(InputError, match="not started with the model"):
        last(app, drawn(app), "How wide is <region1>?", ["hf:/etc"])


def test_regions_are_written_and_removed(app):
    session = app.write(app.begin().clear(), "10,10,50,60")
    assert len(session.drawn) == 1
    assert app.change(session, {"action": "remove", "number": 1}).drawn == ()
    with pytest.raises(SceneError, match="outside"):
        app.write(session, "900,900,950,960")
    for wish in (None, [], {"action": "add"}, {"action": "add", "shape": "box"}):
        with pytest.raises(InputError):
            app.change(session, wish)


def test_views(app):
    session = app.begin()
    assert "bright is near" in depth_html(session)
    link = re.search(r'href="data:model/gltf-binary;base64,([^"]+)"', solid_html(session))
    assert link is not None
    assert base64.b64decode(link[1])[:4] == b"glTF"


def test_a_wrong_model_is_told_at_the_start(tmp_path):
    with pytest.raises(ConfigError):
        App(AppConfig(models=("scripted:nobody",)), tmp_path)


def test_a_model_of_rooms_says_so_beside_another_picture(tmp_path):
    from PIL import Image

    app = App(AppConfig(max_new_tokens=4), tmp_path)
    Image.new("RGB", (64, 48), (90, 120, 150)).save(tmp_path / "photo.png")
    room, photo = app.begin(), app.open(app.begin(), str(tmp_path / "photo.png"))
    assert "trained on synthetic rooms alone" not in last(app, room, "How wide is <region1>?", ["nano"])[0]
    assert "trained on synthetic rooms alone" in last(app, app.write(photo, "5,5,30,30"), "How wide is <region1>?", ["nano"])[0]
