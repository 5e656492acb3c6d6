import io
import json
import zipfile

import pytest
from PIL import Image
from starlette.responses import JSONResponse

from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.guard import Guard
from spatialreasoner.app.server import HEADER, Server, sentence
from spatialreasoner.app.service import App
from spatialreasoner.core.progress import wording

testclient = pytest.importorskip("starlette.testclient")
pytestmark = pytest.mark.filterwarnings("default")  # of the client's own dependencies


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    app = App(AppConfig(models=("scripted:careful",), max_megabytes=1, asks_per_minute=100), tmp_path_factory.mktemp("server"))
    return testclient.TestClient(Server(app).asgi(), base_url="http://127.0.0.1:7860", raise_server_exceptions=False)


@pytest.fixture
def token(served):
    return {HEADER: served.post("/api/begin").json()["token"]}


def photo():
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 150)).save(file, "PNG")
    return file.getvalue()


def test_a_visit_from_the_page_to_the_answer(served, token):
    assert "<script" in served.get("/").text
    assert served.get("/assets/main.js").status_code == 200
    assert served.get("/example/0").content[:2] == b"\xff\xd8"
    assert served.get("/api/about").json()["models"] == ["scripted:careful"]
    state = served.post("/api/edit", json={"action": "write", "text": "10,10,60,60"}, headers=token).json()
    assert len(state["regions"]) == 3
    assert served.post("/api/step", json={"by": -1}, headers=token).json()["at"] == 0
    assert len(served.get("/api/measures", headers=token).json()["cells"]) == 12
    asked = served.post("/api/ask", json={"question": "How wide is <region1>?", "models": ["scripted:careful"]}, headers=token)
    lines = [json.loads(line) for line in asked.text.splitlines()]
    assert "writing" in lines[0]["html"]
    assert "Statement by statement" in lines[-1]["html"]
    for path in ("image", "depth", "depth.png", "space", "export/csv"):
        assert served.get(f"/api/{path}", headers=token).status_code == 200, path


def test_nothing_of_a_visitor_has_an_address_without_the_token(served, token):
    for path in ("state", "image", "depth", "depth.png", "space", "measures", "export/folder"):
        for headers in ({}, {HEADER: "x" * 32}):
            refused = served.get(f"/api/{path}", headers=headers)
            assert (refused.status_code, "ended" in refused.json()["error"]) == (401, True), path
    assert served.post("/api/open", files={"file": ("a.png", photo())}).status_code == 401


def test_what_is_wrong_is_told_in_a_sentence(served, token):
    cases = [
        ("/api/edit", {"action": "explode"}, 422, "the drawing board cannot do that"),
        ("/api/edit", [1], 400, "expected a JSON object"),
        ("/api/example", {"number": 99}, 422, "no such example"),
        ("/api/example", {"number": "1"}, 422, "a whole number"),
        ("/api/ruler", {"ends": [[1, 2]]}, 422, "two points"),
        ("/api/path", {"path": "/etc"}, 422, "`folders`"),
        ("/api/path", {"path": "a\0b"}, 422, "a NUL"),
        ("/api/ask", {"question": "How \ud800?", "models": ["scripted:careful"]}, 400, "expected JSON"),
        ("/api/ask", {"question": "", "models": ["scripted:careful"]}, 422, "write a question"),
        ("/api/ask", {"question": "How?", "models": ["hf:/etc"]}, 422, "not started with"),
        ("/api/ask", {"question": "How?", "models": []}, 422, "choose a model"),
        ("/api/ask", {"question": "How?", "models": 5}, 422, "choose a model"),
    ]
    for path, sent, status, said in cases:
        refused = served.post(path, content=json.dumps(sent), headers={**token, "Content-Type": "application/json"})
        assert refused.status_code == status, path
        assert said.lower() in refused.json()["error"].lower(), path


def test_a_sentence_begins_with_a_capital_and_a_file_keeps_its_name():
    told = [
        sentence(ValueError(text)) for text in ("expected depth; got none", "bad.txt: no image", "a_depth.png lacks an image")
    ]
    assert told == ["Expected depth; got none", "bad.txt: no image", "a_depth.png lacks an image"]


def test_files_are_opened_and_their_names_lead_nowhere(served, token):
    opened = served.post("/api/open", files={"file": ("a photo.png", photo())}, headers=token).json()
    assert (opened["image"]["name"], opened["image"]["width"], opened["image"]["depth"]) == ("a_photo", 64, False)
    evil = served.post("/api/open", files={"file": ("../../evil.png", photo())}, headers=token)
    assert evil.status_code == 422
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../scene.json", "{}")
    zipped = served.post("/api/open", files={"file": ("a.zip", packed.getvalue())}, headers=token)
    assert "in what is open" in zipped.json()["error"]
    text = served.post("/api/open", files={"file": ("a.png", b"<script>")}, headers=token)
    assert "not an image" in text.json()["error"]


def test_what_is_too_large_is_refused_before_it_is_read(served, token):
    assert served.post("/api/open", files={"file": ("a.bin", b"\0" * 1_100_000)}, headers=token).status_code == 413
    assert served.post("/api/edit", content=b" " * 2_100_000, headers=token).status_code == 413
    announced = {**token, "Content-Length": "2100000"}
    assert served.post("/api/edit", content=b"{}", headers=announced).status_code == 413
    unannounced = iter([b" " * 1_000_000] * 3)
    assert served.post("/api/edit", content=unannounced, headers=token).status_code == 413


def test_browsers_are_told_to_run_and_show_only_what_is_ours(served, token):
    for path in ("/", "/api/about", "/nothing", "/assets/main.js"):
        headers = served.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def guarded(**settings):
    async def inner(scope, receive, send):
        await JSONResponse({})(scope, receive, send)

    return testclient.TestClient(Guard(inner, AppConfig(**settings)))


@pytest.mark.parametrize(
    ("settings", "host", "status"),
    [
        ({}, "localhost:7860", 200),
        ({}, "LOCALHOST", 200),
        ({}, "[::1]:7860", 200),
        ({}, "rebound.example", 403),
        ({}, "localhost.rebound.example", 403),
        ({}, "192.168.1.9:7860", 403),
        ({}, "", 403),
        ({"host": "0.0.0.0"}, "192.168.1.9:7860", 200),
        ({"host": "0.0.0.0"}, "rebound.example", 403),
        ({"host": "here.example"}, "here.example", 200),
        ({"allowed_hosts": ("here.example",)}, "here.example:443", 200),
        ({"allowed_hosts": ("here.example",)}, "there.example", 403),
        ({"allowed_hosts": ("*",)}, "there.example", 200),
    ],
)
def test_only_names_of_the_app_are_answered(settings, host, status):
    reply = guarded(**settings).get("/", headers={"host": host})
    assert reply.status_code == status
    assert status == 200 or "`allowed_hosts`" in reply.json()["error"]
    assert "access-control-allow-origin" not in reply.headers


def test_settings_are_called_as_by_the_command_line_that_started_the_app(tmp_path):
    before = wording.set(lambda text: text.replace("`allowed_hosts`", "--allowed-host").replace("`folders`", "--open"))
    try:
        app = Server(App(AppConfig(models=()), tmp_path)).asgi()
    finally:
        wording.reset(before)
    client = testclient.TestClient(app, base_url="http://127.0.0.1:7860")
    token = {HEADER: client.post("/api/begin").json()["token"]}
    assert "a folder that --open names" in client.post("/api/path", json={"path": "/etc"}, headers=token).json()["error"]
    assert "with --allowed-host to" in client.get("/", headers={"host": "rebound.example"}).json()["error"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:7860.evil.example", "http://127.0.0.1:9000"]
)
def test_pages_of_other_sites_cannot_use_it(served, token, origin):
    refused = served.post("/api/open", files={"file": ("a.png", photo())}, headers={**token, "origin": origin})
    assert refused.status_code == 403
    assert "may not use this app" in refused.json()["error"]
    assert served.get("/api/about", headers={"origin": "http://127.0.0.1:7860"}).status_code == 200


def test_what_cannot_be_shown_leaves_the_visit_as_it_was(served, token, monkeypatch):
    before = served.get("/api/state", headers=token).json()
    monkeypatch.setattr("spatialreasoner.app.images._shrunk", lambda size: (2048, 10))  # as an opener might make it
    file = io.BytesIO()
    Image.new("RGB", (4000, 30)).save(file, "PNG")
    refused = served.post("/api/open", files={"file": ("a.png", file.getvalue())}, headers=token)
    assert refused.status_code == 422
    assert "200 times" in refused.json()["error"]
    assert served.get("/api/state", headers=token).json() == before
    assert served.get("/api/image", headers=token).status_code == 200


@pytest.mark.parametrize("size", [(20_000, 100), (100, 20_000)])
def test_an_image_as_thin_as_may_be_is_shown(size, served, token):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "PNG")
    assert served.post("/api/open", files={"file": ("a.png", file.getvalue())}, headers=token).status_code == 200
    for path in ("state", "image", "measures"):
        assert served.get(f"/api/{path}", headers=token).status_code == 200, path


def test_an_image_of_a_folder_may_have_as_many_pixels_as_any_other(served, token):
    image, depth = io.BytesIO(), io.BytesIO()
    Image.new("L", (6000, 4100)).save(image, "PNG")
    Image.new("I;16", (6000, 4100), 2000).save(depth, "PNG")
    camera = {"fx": 5000.0, "fy": 5000.0, "cx": 2999.5, "cy": 2049.5}
    scene = {"image": "image.png", "depth": "depth.png", "depth_units_per_metre": 1000, "intrinsics": camera, "regions": []}
    files = {"image.png": image.getvalue(), "depth.png": depth.getvalue(), "scene.json": json.dumps(scene)}
    before = served.get("/api/state", headers=token).json()
    refused = served.post("/api/open", files=[("file", (f"photo/{name}", data)) for name, data in files.items()], headers=token)
    assert (refused.status_code, "6000 x 4100 pixels; at most 24 million" in refused.json()["error"]) == (422, True)
    assert served.get("/api/state", headers=token).json() == before
