"""The report: whole in one file, safe with any text, and showing only what there is."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from spatialreasoner.core import records
from spatialreasoner.core.types import Question
from spatialreasoner.evaluation.predictions import Prediction, QaInfo, write_predictions
from spatialreasoner.report.report import write_report

ATTACK = "<script>alert(1)</script> \"'><img src=x onerror=alert(2)> {{ 7 * 7 }} </style></title>"


class Page(HTMLParser):
    """Collects what a page refers to, and checks that tags are balanced."""

    VOID = frozenset({"meta", "img", "br", "path", "rect", "circle", "polygon", "polyline", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in {"href", "xlink:href"}:
                self.links.append(value or "")
            elif name in {"src", "srcset", "action", "data", "poster"}:
                self.sources.append(value or "")
            elif name.startswith("on"):
                self.handlers.append(name)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="session")
def report(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report.html"
    write_report([run_dir], out)
    return out


def test_is_whole_in_itself(report: Path) -> None:
    text = report.read_text()
    page = Page(text)
    assert page.open == []
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.ids) == len(set(page.ids))
    assert "link" not in page.tags
    assert not re.search(r"@import|url\((?!#)|https?://", text)
    assert len(text) < 8_000_000


def test_only_its_own_script_and_style_may_be_used(report: Path) -> None:
    text = report.read_text("utf-8")
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    for tag, directive in (("script", "script-src"), ("style", "style-src-elem")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "script-src 'unsafe" not in policy


def test_shows_every_section(report: Path) -> None:
    text = report.read_text()
    for section in ("results", "examples", "pairs", "training", "errors", "published", "settings"):
        assert f'id="{section}"' in text
    assert "of another test set and cannot be compared with them" in text
    assert 'class="apart published"' not in text
    assert text.count('class="segment description"') >= 2


def test_betas_are_those_of_the_run(report: Path) -> None:
    betas = [float(value) for value in re.findall(r"<td>(0\.\d{4})</td></tr>", report.read_text())]
    assert betas
    for description, reasoning in zip(betas[::2], betas[1::2], strict=True):
        assert description + reasoning == pytest.approx(2 * 0.2, abs=1e-3)


def test_the_same_runs_give_the_same_bytes(run_dir: Path, report: Path, tmp_path: Path) -> None:
    write_report([run_dir], tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_untrusted_text_stays_text(run_dir: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "run"
    shutil.copytree(run_dir, hostile)
    _replace_texts(hostile)
    write_report([hostile], tmp_path / "report.html", title=ATTACK)
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.tags.count("script") == 1
    assert page.handlers == []
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "&lt;script&gt;alert(1)" in text
    assert "{{ 7 * 7 }}" in text


def _replace_texts(root: Path) -> None:
    """Put the attack where models and users write: questions, answers, nodes, policies, labels of settings."""
    questions = list(records.read_jsonl(root / "questions.jsonl", Question))
    records.write_jsonl(
        root / "questions.jsonl", [{**vars(q), "text": f"{ATTACK} {q.text}", "answer": ATTACK} for q in questions]
    )
    for name in ("search/trees.jsonl", "search/trajectories.jsonl", "pairs/pairs.jsonl"):
        rows = [_poisoned(row) for row in records.read_jsonl(root / name, dict)]
        records.write_jsonl(root / name, rows)
    info = QaInfo(type="quantitative", category="width_data")
    row = Prediction(
        question_id=questions[0].id,
        image="x",
        question=ATTACK,
        pred=f"{ATTACK} It is 9 m.",
        gt="1 m",
        model_id=ATTACK,
        qa_info=info,
    )
    write_predictions(root / "generate" / "base-predictions.jsonl", [row])
    records.write_config(root / "odd", ATTACK, {ATTACK: ATTACK})


def _poisoned(value: object) -> object:
    """The same JSON with the attack put before every text that a model or a policy's name could hold."""
    if isinstance(value, dict):
        free = {"text", "policy", "content", "pruned"}
        return {key: ATTACK + item if key in free and isinstance(item, str) else _poisoned(item) for key, item in value.items()}
    return [_poisoned(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("kept", "sections"),
    [
        ("generate", {"results"}),
        ("train", {"training", "settings"}),
        ("scenes", set[str]()),
    ],
)
def test_sections_appear_only_with_their_data(run_dir: Path, tmp_path: Path, kept: str, sections: set[str]) -> None:
    shutil.copytree(run_dir / kept, tmp_path / "run" / kept)
    write_report([tmp_path / "run"], tmp_path / "report.html")
    ids = set(Page((tmp_path / "report.html").read_text()).ids)
    found = ids & {"results", "examples", "pairs", "training", "errors", "settings"}
    assert found - {"errors"} == sections


def test_a_lost_image_is_left_out(run_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / "scenes" / "balls.png").write_bytes(b"no image")
    write_report([tmp_path / "run"], tmp_path / "report.html")
    assert Page((tmp_path / "report.html").read_text()).sources == []
