"""The app in a real headless Chromium: everything that a visitor can do, at every size, and what the screens look like."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

import captures
from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.serve import running

pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [pytest.mark.app, pytest.mark.timeout(240), pytest.mark.filterwarnings("default")]

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 60_000
playwright.expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def chromium():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert path, "install Chromium, for example: apt-get install -y chromium"
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(run_dir):
    config = AppConfig(
        models=("scripted:careful", "scripted:hasty"), port=0, max_megabytes=4, asks_per_minute=1000, runs=(str(run_dir),)
    )
    with running(config) as address:
        yield address


@pytest.fixture(scope="module")
def default_url():
    """The app as the bare command starts it: the nano, with the weights that the package brings."""
    program = Path(sys.executable).with_name("spatialreasoner")
    with subprocess.Popen([program, "app", "--port", "0"], stdout=subprocess.PIPE, text=True) as served:
        address = re.search(r"http://\S+", served.stdout.readline())
        yield address[0]
        served.terminate()
        assert served.wait(60) == 143


@pytest.fixture
def visit(chromium, url):
    """Opens the page as a new visitor; at the end, nothing may have gone wrong or gone out."""
    contexts, complaints = [], []

    def start(address=url, width=1280, height=800, dark=False, refused=0):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: complaints.append(said.text) if is_complaint(said) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: complaints.append(sent.url) if outside(sent.url, address) else None)
        page.goto(address)
        measured(page)
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


def until(page, holds, arg=None):
    """Wait until an expression holds. Playwright's own way needs `eval`, which the page's policy forbids."""
    for _ in range(PATIENCE // 50):
        if page.evaluate(holds, arg):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it never came true: {holds}")


def settled(page):
    """Wait until the page has what it asked for."""
    until(page, "!document.body.hasAttribute('aria-busy')")


def is_complaint(said):
    """Errors of the console but those of requests that the app refused, which the page tells the visitor itself."""
    return said.type == "error" and not re.search(r"status of (4\d\d|503)", said.text)


def outside(sent, address):
    return not address.startswith(("data:", "blob:")) and not sent.startswith((address, "data:", "blob:"))


def measured(page):
    page.wait_for_selector("#sr-measure[aria-busy=false]")
    until(page, "document.querySelector('#sr-board img').naturalWidth > 0")


def regions(page, count):
    playwright.expect(page.locator("#sr-sizes tbody tr")).to_have_count(count)
    settled(page)


def place(page, x, y):
    """A share of the image's width and height as a place on the page."""
    box = page.locator(".sr-sheet").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def drag(page, start, end):
    page.mouse.move(*place(page, *start))
    page.mouse.down()
    page.mouse.move(*place(page, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    page.mouse.move(*place(page, *end))
    page.mouse.up()


def click(page, x, y):
    page.mouse.click(*place(page, x, y))


def tool(page, name):
    page.locator("#sr-tools").get_by_role("button", name=name, exact=True).click()


def tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def clear(page):
    page.get_by_role("button", name="Clear regions").click()
    playwright.expect(page.locator(".sr-empty")).to_be_visible()


def whole_boxes(page):
    """Boxes as they are, nothing cut out of them."""
    tool(page, "Box")
    page.get_by_label("cut the thing out of the box").uncheck()


def ask(page, text=None):
    tab(page, "Ask")
    if text is not None:
        page.locator("#sr-question textarea").fill(text)
    page.locator("#sr-ask").click()
    page.wait_for_selector("#sr-answers .sr-answer[aria-busy=false]")
    playwright.expect(page.locator("#sr-stop")).to_be_disabled()


def upload(page, *paths, label="Files"):
    page.locator("#sr-open").click()
    page.get_by_label(label, exact=True).set_input_files([str(path) for path in paths])


def width_of(page, number=1):
    """Width of a region as the table tells it, metres."""
    measured(page)
    return float(page.locator("#sr-sizes tbody tr").nth(number - 1).locator("td").nth(1).inner_text().split()[0])


def state(page):
    token = page.evaluate("sessionStorage.getItem('spatialreasoner-session')")
    return page.request.get(f"{page.url.split('/s/')[0].rstrip('/')}/api/state", headers={"X-Session": token}).json()


def test_draw_measure_change_undo_and_redo(visit):
    page = visit()
    clear(page)
    whole_boxes(page)
    drag(page, (0.1, 0.3), (0.4, 0.8))
    regions(page, 1)
    drag(page, (0.9, 0.9), (0.6, 0.4))
    regions(page, 2)
    measured(page)
    assert re.fullmatch(r"\d+\.\d\d m( ± \d+\.\d\d)?", page.locator("#sr-pairs td").first.inner_text())
    assert "is " in page.locator("#sr-pairs .sr-words").inner_text()
    before = state(page)["regions"][1]["shape"]["points"]
    tool(page, "Select")
    click(page, 0.75, 0.6)
    drag(page, (0.9, 0.9), (0.95, 0.95))  # a corner
    settled(page)
    drag(page, (0.6, 0.675), (0.55, 0.675))  # an edge
    settled(page)
    after = state(page)["regions"][1]["shape"]["points"]
    assert np.subtract(after, before) == pytest.approx(np.array([[-22, 0], [22, 22]]), abs=4)
    drag(page, (0.75, 0.6), (0.7, 0.55))  # all of it
    settled(page)
    moved = state(page)["regions"][1]["shape"]["points"]
    assert np.subtract(moved, after) == pytest.approx(np.full((2, 2), -22), abs=4)
    for _ in range(3):
        page.keyboard.press("Control+z")
        settled(page)
    assert state(page)["regions"][1]["shape"]["points"] == before
    page.get_by_role("button", name="Redo").click()
    settled(page)
    page.keyboard.press("Delete")
    regions(page, 1)


def test_a_box_is_cut_out_shown_first_and_changed_before_it_is_used(visit):
    page = visit()
    clear(page)
    drag(page, (0.05, 0.25), (0.45, 0.85))
    draft = page.locator("#sr-draft")
    playwright.expect(draft).to_contain_text("This will be measured")
    assert page.locator("#sr-sizes").count() == 0
    pixels = state(page)["draft"]["pixels"]
    tool(page, "Brush")
    drag(page, (0.1, 0.3), (0.4, 0.3))
    settled(page)
    painted = state(page)["draft"]["pixels"]
    tool(page, "Eraser")
    drag(page, (0.1, 0.55), (0.4, 0.55))
    settled(page)
    assert painted > pixels
    assert state(page)["draft"]["pixels"] < painted
    draft.get_by_role("button", name="Use it").click()
    regions(page, 1)
    playwright.expect(page.locator("#sr-sizes small")).to_have_text("box, cut out by depth and colour")
    tool(page, "Click")
    click(page, 0.7, 0.7)
    settled(page)
    assert state(page)["draft"] or len(state(page)["regions"]) == 2
    tool(page, "Outline")
    for corner in ((0.2, 0.1), (0.5, 0.1), (0.3, 0.2)):
        click(page, *corner)
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('#sr-sizes tbody tr').length >= 2")
    name = page.get_by_label("name of region 1")
    name.fill("the <b>cup</b>")
    name.press("Enter")
    settled(page)
    assert state(page)["regions"][0]["name"] == "the <b>cup</b>"
    page.get_by_role("button", name="remove region 1").click()
    settled(page)
    assert state(page)["regions"][0]["name"] != "the <b>cup</b>"


def test_depth_under_the_cursor_zoom_and_rulers(visit):
    page = visit()
    page.mouse.move(*place(page, 0.5, 0.5))
    playwright.expect(page.locator("#sr-cursor")).to_contain_text(re.compile(r"22\d, 22\d: depth \d\.\d\d m"))
    wide = page.locator(".sr-sheet").bounding_box()["width"]
    page.mouse.wheel(0, -400)
    assert page.locator(".sr-sheet").bounding_box()["width"] > 2 * wide
    tool(page, "Move")
    left = page.locator(".sr-sheet").bounding_box()["x"]
    board = page.locator("#sr-board").bounding_box()
    page.mouse.move(board["x"] + 200, board["y"] + 200)
    page.mouse.down()
    page.mouse.move(board["x"] + 260, board["y"] + 200)
    page.mouse.up()
    assert page.locator(".sr-sheet").bounding_box()["x"] == pytest.approx(left + 60, abs=3)
    page.get_by_role("button", name="Fit").click()
    assert page.locator(".sr-sheet").bounding_box()["width"] == pytest.approx(wide, abs=2)
    tool(page, "Ruler")
    drag(page, (0.2, 0.9), (0.8, 0.9))
    playwright.expect(page.locator("#sr-ruler")).to_contain_text(re.compile(r"Ruler: \d+\.\d\d m ± \d\.\d\d"))
    tab(page, "Depth")
    playwright.expect(page.locator("#sr-cursor")).to_contain_text("bright is near")
    tab(page, "3D")
    canvas = page.locator("#sr-space")
    until(page, f"({DRAWN})(document.querySelector('#sr-space'))[0] > 0.05")
    box = canvas.bounding_box()
    for x, y in ((0.45, 0.55), (0.6, 0.6)):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    playwright.expect(page.locator("#sr-ruler")).to_contain_text("Ruler: ")
    settled(page)
    seen = canvas.evaluate(DRAWN)[1]
    page.get_by_role("button", name="zoom in").click()
    until(page, f"seen => ({DRAWN})(document.querySelector('#sr-space'))[1] !== seen", seen)
    seen = canvas.evaluate(DRAWN)[1]
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "+"):
        page.keyboard.press(key)
        until(page, f"seen => ({DRAWN})(document.querySelector('#sr-space'))[1] !== seen", seen)
        seen = canvas.evaluate(DRAWN)[1]
    in_space = page.locator("#sr-ruler").inner_text()
    tab(page, "Image")  # what was measured in space is drawn in the image, too
    assert page.locator("#sr-board .sr-ruler").count() == 1
    assert page.locator("#sr-ruler").inner_text() == in_space
    assert "bright is near" not in page.locator("#sr-cursor").inner_text()
    tool(page, "Box")  # and both go together
    assert page.locator("#sr-board .sr-ruler").count() == 0
    assert page.locator("#sr-ruler").inner_text() == ""
    assert page.get_by_label("cut the thing out of the box").is_visible()
    tab(page, "3D")
    assert not page.get_by_label("cut the thing out of the box").is_visible()
    tab(page, "Depth")
    assert page.get_by_label("cut the thing out of the box").is_visible()


DRAWN = """(canvas) => {
  if (!canvas.width || !canvas.height) return [0, 0];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let [covered, sum] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    covered += data[i + 3] > 0;
    sum = (31 * sum + data[i] + 3 * data[i + 1] + 7 * data[i + 2]) % 1000003;
  }
  return [covered / (canvas.width * canvas.height), sum];
}"""
"""The share of the canvas that is drawn on, and a number that stands for what is."""


@pytest.mark.parametrize("kind", ["record3d", "iphone"])
def test_a_capture_of_a_phone_is_opened_and_measured(visit, tmp_path, kind):
    page = visit()
    upload(page, getattr(captures, kind)(tmp_path))
    playwright.expect(page.locator("#sr-source")).to_contain_text("sizes and distances can be measured")
    clear(page)
    whole_boxes(page)
    drag(page, (0.3, 0.3), (0.7, 0.7))
    regions(page, 1)
    assert 0 < width_of(page) < 10
    if kind == "record3d":
        before = state(page)["image"]["stamp"]
        page.locator("#sr-frame").select_option(index=1)
        settled(page)
        assert state(page)["image"]["stamp"] != before


def test_exports_are_saved_and_opened_again(visit, tmp_path):
    page = visit()
    page.get_by_label("name of region 1").fill("part")
    page.get_by_label("name of region 1").press("Enter")
    settled(page)
    wide = width_of(page)
    saved = {}
    for name in ("RGB-D folder (zip)", "scene.json", "Regions as COCO", "Measurements as CSV", "3D as GLB"):
        page.locator("#sr-export summary").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).click()
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    assert json.loads(saved["scene.json"].read_text())["regions"][0]["label"] == "part"
    assert json.loads(saved["Regions as COCO"].read_text())["categories"][0]["name"] == "part"
    assert "width,1,part" in saved["Measurements as CSV"].read_text()
    assert len(trimesh.load(saved["3D as GLB"]).geometry) == 3
    assert zipfile.ZipFile(saved["RGB-D folder (zip)"]).testzip() is None
    other = visit()
    upload(other, saved["RGB-D folder (zip)"])
    playwright.expect(other.get_by_label("name of region 1")).to_have_value("part")
    assert width_of(other) == pytest.approx(wide, abs=0.011)
    clear(other)
    upload(other, saved["Regions as COCO"], label="Regions of a label tool, for the open image")
    regions(other, 2)


def test_an_answer_is_checked_in_the_open_and_greyed_by_a_new_region(visit):
    page = visit()
    ask(page, "Is <Region1> to the left of <region2>?")
    table = page.locator("#sr-answers .sr-checked table")
    assert table.locator("thead").inner_text().split() == ["claim", "measured", "error", "verdict"]
    assert re.search(r"holds|told", table.locator("tbody tr").first.inner_text())
    for segment in ("description", "reasoning", "conclusion"):
        assert page.locator(f"#sr-answers .sr-{segment} p").first.inner_text().strip()
    assert page.locator("#sr-answers meter").count() >= 3
    tool(page, "Box")
    page.get_by_label("cut the thing out of the box").uncheck()
    drag(page, (0.1, 0.1), (0.3, 0.3))
    playwright.expect(page.locator("#sr-answers.sr-stale .sr-old")).to_contain_text("another image or other regions")
    page.get_by_role("button", name="Undo").click()
    playwright.expect(page.locator("#sr-answers.sr-stale")).to_have_count(0)
    page.locator("#sr-open").click()
    page.locator("#sr-gallery button").nth(1).click()
    playwright.expect(page.locator("#sr-answers.sr-stale")).to_have_count(1)
    tab(page, "History")
    playwright.expect(page.locator("#sr-history details.sr-stale")).to_have_count(1)
    page.locator(".sr-steps button").first.click()
    playwright.expect(page.locator("#sr-history details.sr-stale")).to_have_count(0)


def test_two_models_side_by_side_and_a_question_that_cannot_be_asked(visit):
    page = visit()
    tab(page, "Ask")
    page.get_by_label("Compare with").select_option("scripted:hasty")
    ask(page)
    until(page, "document.querySelectorAll('#sr-answers .sr-answer[aria-busy=false]').length == 2")
    assert page.locator("#sr-answers .sr-answer h2").all_inner_texts() == ["scripted:careful", "scripted:hasty"]
    tab(page, "Measure")
    clear(page)
    tab(page, "Ask")
    page.locator("#sr-ask").click()
    playwright.expect(page.locator("#sr-answers .sr-error")).to_contain_text("no region is drawn")


def test_the_bare_command_streams_an_answer_of_the_nano(visit, default_url):
    page = visit(default_url)
    page.evaluate("""() => {
      window.seen = [];
      const note = () => window.seen.push(document.querySelector("#sr-answers").innerText.length);
      new MutationObserver(note).observe(document.querySelector("#sr-answers"), { childList: true, subtree: true });
    }""")
    ask(page, "Is <region1> to the left of <region2>?")
    assert len(set(page.evaluate("window.seen"))) > 4  # it was read while it was written
    assert page.locator("#sr-answers .sr-answer h2").inner_text() == "nano"
    assert page.locator("#sr-answers .sr-checked tbody tr").count()
    tab(page, "Measure")
    clear(page)
    ask(page, "What do you see?")
    assert page.locator("#sr-answers .sr-c0").count() == 0  # no region is invented where none is drawn


def test_two_visitors_do_not_see_each_other_and_a_link_gives_a_copy(visit, tmp_path):
    one, other = visit(), visit()
    path = tmp_path / "secret.png"
    Image.fromarray(np.full((200, 300, 3), (250, 0, 0), np.uint8)).save(path)
    upload(one, path)
    playwright.expect(one.locator("#sr-name")).to_have_text("secret")
    other.reload()
    measured(other)
    assert other.locator("#sr-name").inner_text() != "secret"
    one.get_by_role("button", name="Save a link").click()
    link = one.locator("#sr-saved input")
    playwright.expect(link).to_have_value(re.compile(r"/s/[\w-]{16,}$"))
    other.goto(link.input_value())
    playwright.expect(other.locator("#sr-name")).to_have_text("secret")
    drag(other, (0.1, 0.1), (0.5, 0.5))
    regions(other, 1)
    one.keyboard.press("Escape")
    one.reload()  # the same visit goes on
    playwright.expect(one.locator("#sr-name")).to_have_text("secret")
    playwright.expect(one.locator("#sr-sizes")).to_have_count(0)


@pytest.mark.parametrize("kind", ["text", "bomb", "large"])
def test_a_hostile_upload_is_refused_at_the_top_and_the_page_lives_on(visit, tmp_path, kind):
    page = visit()
    path = tmp_path / "hostile.png"
    if kind == "text":
        path.write_text("<script>document.title = 'stolen'</script>")
    elif kind == "bomb":
        Image.new("1", (9000, 9000)).save(path)
    else:
        path.write_bytes(np.random.default_rng(0).bytes(5_000_000))
    upload(page, path)
    error = page.locator("#sr-message.sr-error")
    playwright.expect(error).to_be_visible()
    assert error.bounding_box()["y"] < 120
    assert page.title() == "SpatialReasoner"
    assert page.locator("#sr-sizes tbody tr").count() == 2


def test_everything_can_be_done_by_keyboard(visit):
    page = visit()
    clear(page)
    whole_boxes(page)
    page.locator("#sr-board").focus()
    for key in ("ArrowLeft", "ArrowUp"):
        for _ in range(8):
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowDown"):
        for _ in range(12):
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    regions(page, 1)
    field = page.get_by_label("Region in pixels")
    field.fill("10,10,100,120")
    field.press("Enter")
    regions(page, 2)
    playwright.expect(field).to_have_value("")
    field.fill("1000,1000,1100,1200")
    field.press("Enter")
    playwright.expect(page.locator("#sr-message")).to_contain_text("outside the image, which is 448 x 448")
    page.locator("#sr-tab-measure").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#sr-asking").is_visible()
    page.locator("#sr-board").focus()
    page.keyboard.press("r")
    assert page.locator("button[data-tool=ruler]").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_image_is_seen_whole_and_nothing_sticks_out(visit, tmp_path, width, height):
    page = visit(width=width, height=height)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box = page.locator(".sr-sheet").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] <= height
    assert min(box["width"], box["height"]) > 250
    for name in ("Depth", "3D", "Ask", "History", "Measure"):
        tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    tab(page, "Image")
    page.locator("#sr-export summary").click()
    sticks_out(page, "#sr-export button", width)
    page.locator("#sr-export summary").click()
    upload(page, captures.record3d(tmp_path))
    playwright.expect(page.locator("#sr-source")).to_contain_text("Record3D")
    settled(page)
    whole_boxes(page)
    for number, left in ((1, 20), (1, 0), (2, 20)):
        page.get_by_label("Region in pixels").fill(f"{left},20,{60 * number},200")
        page.get_by_role("button", name="Add region").click()
        regions(page, number)
        if left and number == 1:
            clear(page)
    why = page.locator("#sr-measure .sr-notes li", has_text="border")
    playwright.expect(why.locator(".sr-chip")).to_have_text("1")
    playwright.expect(why).to_contain_text("width")
    assert all(chip.bounding_box()["width"] < 40 for chip in page.locator("#sr-pairs .sr-chip").all())
    for step in range(12):  # more than the list of steps shows at once
        page.get_by_label("name of region 1").fill(f"name {step}")
        page.get_by_label("name of region 1").press("Enter")
        settled(page)
    measured(page)
    assert "±" in page.locator("#sr-sizes").inner_text()
    for table in ("#sr-sizes", "#sr-pairs"):  # no column has to be scrolled to
        assert page.evaluate(
            """(table) => {
          const { scrollWidth, parentElement } = document.querySelector(table);
          return scrollWidth <= parentElement.clientWidth;
        }""",
            table,
        )
    source = "document.querySelector('#sr-source')"
    assert width > 800 or page.evaluate(f"{source}.scrollHeight <= {source}.clientHeight + 1")
    tab(page, "History")
    seen = [page.locator(f"#sr-history {name}").bounding_box() for name in (".sr-steps", "[aria-current]")]
    assert seen[0]["y"] - 1 <= seen[1]["y"] <= seen[0]["y"] + seen[0]["height"] - seen[1]["height"] + 1
    ask(page)
    if width > 800:
        assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight"), "columns scroll, and not the page"
    page.locator("#sr-open").click()
    sticks_out(page, "#sr-opening input", width)


def sticks_out(page, selector, width):
    """Nothing that can be seen of these lies outside of the window."""
    for each in page.locator(selector).all():
        if each.is_visible():
            box = each.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("dark", [False, True])
def test_no_screen_breaks_a_serious_rule_of_accessibility(visit, dark):
    page = visit(dark=dark)
    steps = {
        "start": lambda: None, "answer": lambda: ask(page), "history": lambda: tab(page, "History"),
        "trees": lambda: tab(page, "Trees and pairs"), "depth": lambda: tab(page, "Depth"), "3D": lambda: tab(page, "3D"),
        "open": lambda: page.locator("#sr-open").click(),
    }  # fmt: skip
    for name, go in steps.items():
        go()
        page.wait_for_timeout(200)
        broken = axe.Axe().run(page).response["violations"]
        serious = [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in broken if rule["impact"] in {"serious", "critical"}]
        assert serious == [], name


def test_trees_and_pairs_are_shown_in_a_frame(visit):
    page = visit()
    tab(page, "Trees and pairs")
    frame = page.frame_locator(".sr-frame")
    playwright.expect(frame.locator(".example").first).to_be_visible()
