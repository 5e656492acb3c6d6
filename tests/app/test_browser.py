"""The app in a real headless Chromium."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.serve import running

pytest.importorskip("gradio")
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [
    pytest.mark.app,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default"),  # of gradio's own dependencies
]


FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 60_000


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
        models=("scripted:careful", "scripted:hasty"), port=0, max_megabytes=1, asks_per_minute=1000, runs=(str(run_dir),)
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

    def start(address=url, width=1400, height=1000, dark=False):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: complaints.append(sent.url) if outside(sent.url, address) else None)
        page.goto(address)
        page.wait_for_selector(".sr-stage")
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


def outside(address, url):
    return not address.startswith((url, url.replace("http", "ws", 1), "data:", "blob:"))


def regions(page):
    return page.locator(".sr-regions li").count()


def wait_for_regions(page, count):
    playwright.expect(page.locator(".sr-regions li")).to_have_count(count, timeout=PATIENCE)


def drag(page, start, end):
    """Drag over the image; places are shares of its width and height."""
    box = page.locator(".sr-stage").bounding_box()
    (x0, y0), (x1, y1) = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    page.mouse.move(x1, y1)
    page.mouse.up()


def click(page, x, y):
    box = page.locator(".sr-stage").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def choose(page, number):
    """Open an example."""
    before = page.locator(".sr-stage img").get_attribute("src")
    page.locator("#sr-gallery .thumbnail-item").nth(number).click()
    page.wait_for_function("src => document.querySelector('.sr-stage img').src !== src", arg=before)


def clear(page):
    page.get_by_role("button", name="Clear regions").click()
    wait_for_regions(page, 0)


def ask(page):
    page.locator("#sr-ask").click()
    page.wait_for_selector(".sr-answer[aria-busy=false]")


def test_draw_ask_and_read_the_answer(visit):
    page = visit()
    clear(page)
    page.get_by_role("button", name="Box", exact=True).click()
    drag(page, (0.1, 0.3), (0.4, 0.8))
    wait_for_regions(page, 1)
    drag(page, (0.9, 0.9), (0.6, 0.4))
    wait_for_regions(page, 2)
    assert "134 x 224 pixels at" in page.locator(".sr-regions li").first.inner_text()
    ask(page)
    for segment in ("description", "reasoning", "conclusion"):
        assert page.locator(f".sr-{segment} p").inner_text().strip()
    said = page.locator(".sr-said[data-truth]").first
    said.focus()
    assert re.search(r"holds|hold|told", said.get_attribute("data-truth"))
    assert page.locator(".sr-bar").count() == 4


WATCH = """() => {
  window.seen = [];
  const note = () => {
    const answer = document.querySelector(".sr-answer");
    if (!answer) return;
    const [length, writing] = [answer.innerText.length, answer.getAttribute("aria-busy") === "true"];
    window.seen.push({ at: Date.now(), length, writing });
  };
  new MutationObserver(note).observe(document.querySelector("#sr-answers"), { childList: true, subtree: true });
}"""
"""Notes how long the answer is each time that it changes, and whether more is to come."""


def draw_and_type(page, boxes, question):
    """All but the click that asks."""
    clear(page)
    for number, (start, end) in enumerate(boxes, start=1):
        drag(page, start, end)
        wait_for_regions(page, number)
    page.locator("#sr-question textarea").fill(question)
    page.evaluate(WATCH)


def wait_for_answer(page):
    """The text of the finished answer, and what was seen of it before that."""
    page.wait_for_selector(".sr-answer[aria-busy=false]")
    return page.locator(".sr-answer").inner_text(), [moment for moment in page.evaluate("window.seen") if moment["writing"]]


def test_the_bare_command_draws_asks_and_streams_an_answer_of_the_nano(visit, default_url):
    page = visit(default_url)
    choose(page, 1)
    draw_and_type(page, [((0.1, 0.5), (0.4, 0.9)), ((0.6, 0.4), (0.9, 0.8))], "Is <region1> to the left of <region2>?")
    page.locator("#sr-ask").click()
    text, seen = wait_for_answer(page)
    lengths = [moment["length"] for moment in seen]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 3  # it was read while it was written
    assert text.startswith("nano")
    for segment in ("description", "reasoning", "conclusion"):
        assert page.locator(f".sr-{segment} p").inner_text().strip()
    assert page.locator(".sr-said[data-truth]").count()
    assert page.locator(".sr-bar").count() == 4


def test_two_visitors_ask_the_nano_at_once(visit, default_url):
    one, other = visit(default_url), visit(default_url)
    draw_and_type(one, [((0.1, 0.5), (0.4, 0.9))], "How wide is <region1>?")
    draw_and_type(other, [((0.5, 0.3), (0.9, 0.7)), ((0.1, 0.5), (0.4, 0.9))], "Is <region1> to the left of <region2>?")
    for page in (one, other):  # one after the other at once: an answer takes a second
        page.locator("#sr-ask").click()
    (wide, first), (left, second) = wait_for_answer(one), wait_for_answer(other)
    assert first[-1]["at"] > second[0]["at"]  # the other began before the one had ended
    assert (regions(one), regions(other)) == (1, 2)
    assert "width" in wide
    assert wide != left
    assert one.locator(".sr-answer .sr-c1").count() == 0  # nothing was said of a second region


def test_outline_brush_pick_and_removal(visit):
    page = visit()
    clear(page)
    page.get_by_role("button", name="Outline").click()
    for corner in ((0.2, 0.2), (0.5, 0.2), (0.3, 0.6)):
        click(page, *corner)
    page.keyboard.press("Enter")
    wait_for_regions(page, 1)
    page.get_by_role("button", name="Brush").click()
    drag(page, (0.6, 0.6), (0.8, 0.7))
    wait_for_regions(page, 2)
    page.get_by_role("button", name="remove region 1").click()
    wait_for_regions(page, 1)
    clear(page)
    page.get_by_role("button", name="Pick").click()
    click(page, 0.01, 0.01)
    playwright.expect(page.locator(".sr-error")).to_contain_text("no detected thing")


def test_a_region_can_be_written_without_a_mouse(visit):
    page = visit()
    clear(page)
    field = page.get_by_label("Or write a region in pixels")
    field.fill("10,10,100,120")
    field.press("Enter")
    wait_for_regions(page, 1)
    playwright.expect(field).to_have_value("")  # it is ready for the next one
    field.fill("1000,1000,1100,1200")
    field.press("Enter")
    playwright.expect(page.locator(".sr-error")).to_contain_text("outside of the image, which is 448 x 448")
    assert regions(page) == 1


def test_a_question_that_cannot_be_asked_says_why(visit):
    page = visit()
    clear(page)
    page.locator("#sr-ask").click()
    playwright.expect(page.locator("#sr-answers .sr-error")).to_contain_text("no region is drawn", timeout=PATIENCE)


def test_two_models_side_by_side(visit):
    page = visit()
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="scripted:hasty").click()
    ask(page)
    page.wait_for_function("document.querySelectorAll('.sr-answer[aria-busy=false]').length == 2")
    assert page.locator(".sr-answer h2").all_inner_texts() == ["scripted:careful", "scripted:hasty"]


def test_the_depth_is_shown_in_colours(visit):
    page = visit()
    show_depth(page)
    page.get_by_role("tab", name="Picture", exact=True).click()
    assert page.locator(".sr-stage").is_visible()


def test_the_solid_view_is_drawn_turned_by_keys_and_saved(visit, tmp_path):
    page = visit()
    show_solid(page)
    canvas = page.locator(".sr-solid canvas")
    covered, seen = canvas.evaluate(DRAWN)
    assert covered > 0.1
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "+"):
        page.keyboard.press(key)
        page.wait_for_function(f"seen => ({DRAWN})(document.querySelector('.sr-solid canvas'))[1] !== seen", arg=seen)
        _, seen = canvas.evaluate(DRAWN)
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save as GLB").click()
    saved.value.save_as(tmp_path / "scene.glb")
    assert set(trimesh.load(tmp_path / "scene.glb").geometry) == {"surroundings", "region 1", "region 2"}


DRAWN = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let [covered, sum] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    covered += data[i + 3] > 0;
    sum = (31 * sum + data[i] + 3 * data[i + 1] + 7 * data[i + 2]) % 1000003;
  }
  return [covered / (canvas.width * canvas.height), sum];
}"""
"""The share of the canvas that is drawn on, and a number that stands for what is."""


def show_depth(page):
    page.get_by_role("tab", name="Depth").click()
    playwright.expect(page.locator(".sr-depth figcaption")).to_contain_text("bright is near", timeout=PATIENCE)


def show_solid(page):
    page.get_by_role("tab", name="3D").click()
    page.wait_for_function(f"(canvas => canvas && ({DRAWN})(canvas)[0] > 0)(document.querySelector('.sr-solid canvas'))")


def show_trees(page):
    page.get_by_role("tab", name="Trees and pairs").click()
    page.wait_for_selector(".sr-frame")


@pytest.mark.parametrize("dark", [False, True])
def test_no_tab_of_the_page_breaks_a_serious_rule_of_accessibility(visit, dark):
    page = visit(dark=dark)
    for go in (clear, lambda page: page.reload(), ask, show_depth, show_solid, show_trees):
        go(page)
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)  # colours fade
        broken = axe.Axe().run(page).response["violations"]
        serious = [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in broken if rule["impact"] in {"serious", "critical"}]
        assert serious == [], go


def test_two_visitors_do_not_see_each_other(visit, tmp_path):
    one, other = visit(), visit()
    path = tmp_path / "secret.png"
    Image.fromarray(np.full((200, 300, 3), (250, 0, 0), np.uint8)).save(path)
    clear(one)
    one.locator("input[type=file]").first.set_input_files(path)
    one.wait_for_selector(".sr-stage[data-width='300']")
    assert regions(other) == 2
    assert other.locator(".sr-stage").get_attribute("data-width") == "448"
    ask(other)
    assert one.locator(".sr-answer").count() == 0
    other.reload()
    other.wait_for_selector(".sr-stage[data-width='448']")


@pytest.mark.parametrize("kind", ["text", "bomb", "large"])
def test_a_hostile_upload_is_refused_and_the_page_lives_on(visit, tmp_path, kind):
    page = visit()
    path = tmp_path / "hostile.png"
    if kind == "text":
        path.write_text("<script>document.title = 'stolen'</script>")
    elif kind == "bomb":
        Image.new("1", (9000, 9000)).save(path)
    else:
        path.write_bytes(np.random.default_rng(0).bytes(3_000_000))
    page.locator("input[type=file]").first.set_input_files(path)
    if kind == "large":
        page.wait_for_timeout(2000)
    else:
        playwright.expect(page.locator(".sr-message .sr-error")).to_be_visible(timeout=PATIENCE)
    assert page.locator(".sr-stage").get_attribute("data-width") == "448"
    assert page.title() == "SpatialReasoner"
    ask(page)


@pytest.mark.parametrize("width", [1400, 390])
def test_nothing_sticks_out_and_everything_can_be_reached_by_keyboard(visit, width):
    page = visit(width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(e => e.id || e.ariaLabel || e.innerText || e.type || '')(document.activeElement)"))
    for wanted in ("sr-ask", "Box", "Outline", "Brush", "remove region 1", "Clear regions", "Stop"):
        assert any(wanted in name for name in reached), (wanted, reached)


def test_inputs_have_labels(visit):
    page = visit()
    nameless = page.evaluate(
        """[...document.querySelectorAll("input, textarea, select, button")].filter(e => e.offsetParent
        && !e.labels?.length && !e.ariaLabel && !e.getAttribute("aria-labelledby") && !e.innerText.trim() && !e.title)
        .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert nameless == []


LUMINANCE = """(element) => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  let behind = element;
  while (behind.parentElement && (parse(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
  const [a, b] = [parse(getComputedStyle(element).color), parse(getComputedStyle(behind).backgroundColor)].map(light);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out(visit, dark):
    page = visit(dark=dark)
    ask(page)
    for selector in (
        ".sr-segment p", ".sr-segment h3", ".sr-chip", ".sr-answer h2", ".sr-rewards dt", ".sr-hint", ".sr-tools button",
        "#sr-ask", ".sr-regions li", "h1",
    ):  # fmt: skip
        for element in page.locator(selector).all():
            contrast = page.evaluate(LUMINANCE, element.element_handle())
            assert contrast >= 4.5, (selector, round(contrast, 2))


def test_the_assets_are_in_the_package():
    from spatialreasoner.app.page import ASSETS

    assert {path.name for path in Path(ASSETS).iterdir()} == {"board.js", "page.css", "solid.js"}
