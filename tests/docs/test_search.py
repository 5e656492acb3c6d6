"""The site's search, typed into in a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.app
sync_api = pytest.importorskip("playwright.sync_api")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert program is not None, "install chromium"
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize(
    ("words", "pages"),
    [
        ("train on own data", {"index.html", "quickstart.html", "how-to/own-photos.html", "how-to/qwen-vl.html"}),
        ("own photos", {"how-to/own-photos.html"}),
        ("fDPO for my own segments", {"fdpo-only.html"}),
        ("segment_betas", {"reference/training.html"}),
    ],
)
def test_the_right_page_is_among_the_first(browser: sync_api.Browser, address: str, words: str, pages: set[str]) -> None:
    page = browser.new_page()
    page.goto(f"{address}/index.html")
    page.locator(".md-search__input").click()
    page.keyboard.type(words)
    page.locator(".md-search-result__item").first.wait_for(timeout=30_000)
    links = page.locator(".md-search-result__item > .md-search-result__link").evaluate_all("all => all.map(a => a.href)")
    found = [link.removeprefix(f"{address}/").partition("?")[0].partition("#")[0] for link in links]
    assert pages & set(found[:3]), found
    page.close()
