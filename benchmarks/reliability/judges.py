"""What judges reply: rubbish of all kinds, as text to the readers, and as HTTP to the client."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

from reliability import made
from reliability.trial import Act, Case, Read
from spatialreasoner.core.errors import BusyError, WorkError
from spatialreasoner.core.protocols import Grade
from spatialreasoner.core.types import Category
from spatialreasoner.evaluation.answers import Verdict
from spatialreasoner.evaluation.model_judge import read_verdict
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.backends.replies import read_completions
from spatialreasoner.judges.rewards import (
    JUDGED_CRITERIA,
    ApiJudge,
    ApiJudgeConfig,
    grade_request,
    parse_grade,
    read_completion,
)
from spatialreasoner.questions.files import prompt


def _grades(score: Any = 0.5, reason: Any = "so", **changes: Any) -> str:
    return json.dumps({"criteria": {name: {"score": score, "reason": reason} for name in JUDGED_CRITERIA} | changes})


def _without_last(text: str) -> str:
    criteria = json.loads(text)["criteria"]
    return json.dumps({"criteria": dict(list(criteria.items())[:-1])})


RUBBISH: tuple[tuple[str, str], ...] = (
    ("nothing", ""),
    ("blanks", " \n" * 1000),
    ("praise", "This is an excellent answer! 10/10."),
    ("a number", "0.9"),
    ("a list", "[0.9, 0.8]"),
    ("an empty object", "{}"),
    ("an object cut in half", _grades()[:80]),
    ("two objects", _grades() + _grades()),
    ("Python's quotes", str(json.loads(_grades()))),
    ("remarks", "{// generous\n" + _grades()[1:]),
    ("a comma too many", _grades()[:-1] + ",}"),
    ("a score above 1", _grades(score=9.5)),
    ("a score below 0", _grades(score=-0.1)),
    ("a score as text", _grades(score="0.5")),
    ("a score that is a truth value", _grades(score=True)),
    ("a score of NaN", _grades().replace("0.5", "NaN")),
    ("a score of infinity", _grades().replace("0.5", "1e999")),
    ("a score of 5000 digits", _grades().replace("0.5", "1" * 5000)),
    ("a score in a list", _grades(score=[0.5])),
    ("a reason of 10000 characters", _grades(reason="x" * 10_000)),
    ("a reason that is a number", _grades(reason=7)),
    ("a criterion too few", _without_last(_grades())),
    ("a criterion too many", _grades(**{"visual.beauty": {"score": 1}})),
    ("a criterion that is a number", _grades(**{"visual.existence": 1})),
    ("an unknown key", _grades()[:-1] + ', "total": 16}'),
    ("an unknown key of a criterion", _grades(**{"visual.existence": {"score": 1, "weight": 2}})),
    ("100000 brackets", "{" * 49_000),
    ("100000 closing brackets", "{" + "}" * 49_000),
    ("a megabyte", '{"criteria": "' + "a" * 2**20 + '"}'),
    ("control characters", '{"criteria":\0\x1b[31m}'),
    ("lone surrogates", '{"criteria": "\ud800"}'),
    ("an escaped lone surrogate", '{"criteria": "\\ud800"}'),
)
FINE: tuple[tuple[str, str], ...] = (
    ("a code fence", f"```json\n{_grades()}\n```"),
    ("words around", f"Here you are:\n{_grades()}\nGood luck!"),
    ("nothing scored", _grades(score=None)),
    ("a key twice", '{"criteria": 1, ' + _grades()[1:]),
    ("reasons of control characters", _grades(reason="\x1b[31m\0")),
)

VALUES: tuple[tuple[str, str], ...] = (
    ("nothing", ""),
    ("a word", "yes"),
    ("a list", "[1, 2]"),
    ("NaN", '{"reference": NaN, "answer": 1}'),
    ("infinity", '{"reference": 1e999, "answer": 1}'),
    ("below zero", '{"reference": -2, "answer": 1}'),
    ("5000 digits", '{"reference": ' + "9" * 5000 + ', "answer": 1}'),
    ("text", '{"reference": "2 m", "answer": "2 m"}'),
    ("a truth value", '{"reference": true, "answer": true}'),
    ("a key too few", '{"reference": 2}'),
    ("a key too many", '{"reference": 2, "answer": 2, "success": true}'),
    ("a mark of 2", '{"mark": 2}'),
    ("a mark of one half", '{"mark": 0.5}'),
    ("a mark as text", '{"mark": "1"}'),
    ("100000 brackets", "[" * 100_000),
)
BODIES: tuple[tuple[str, int, bytes], ...] = (
    ("nothing", 200, b""),
    ("no JSON", 200, b"<html>busy</html>"),
    ("JSON cut in half", 200, b'{"id": "1", "choices": [{"ind'),
    ("null", 200, b"null"),
    ("a list", 200, b"[]"),
    ("a number", 200, b"7"),
    ("an object of nothing", 200, b"{}"),
    ("choices that are null", 200, b'{"id": "1", "choices": null}'),
    ("choices that are text", 200, b'{"id": "1", "choices": "none"}'),
    ("choices that are numbers", 200, b'{"id": "1", "choices": [1, 2]}'),
    ("a message that is null", 200, b'{"id": "1", "choices": [{"index": 0, "message": null, "finish_reason": "stop"}]}'),
    ("content that is a number", 200, b'{"id": "1", "choices": [{"message": {"content": 7}, "finish_reason": "stop"}]}'),
    ("content that is a list", 200, b'{"id": "1", "choices": [{"message": {"content": [7]}, "finish_reason": "stop"}]}'),
    ("tokens that are text", 200, b'{"id": "1", "choices": [], "usage": {"prompt_tokens": "many"}}'),
    ("tokens that are a list", 200, b'{"id": "1", "choices": [], "usage": []}'),
    ("bytes that are not UTF-8", 200, b'{"id": "\xff\xfe"}'),
    ("100000 brackets", 200, b"[" * 100_000),
    ("two megabytes", 200, b'{"id": "' + b"a" * 2**21 + b'"}'),
    ("an error of 1 MB", 400, b'{"error": {"message": "' + b"x" * 2**20 + b'"}}'),
    ("a refusal of the key", 401, b'{"error": {"message": "wrong key"}}'),
    ("not found", 404, b"nothing here"),
    ("a teapot", 418, b""),
    ("an error that is a list", 500, b'["oops"]'),
    ("an error without a body", 503, b""),
)


def cases() -> Iterator[Case]:
    """Every reply is unscored, with a reason, or a verdict; none is an error."""
    for name, text in RUBBISH:
        yield _case(name, partial(parse_grade, text), _failed)
    for name, text in FINE:
        yield _case(name, partial(parse_grade, text), lambda grade: grade.failure is None)
    for (name, text), category in product(VALUES, ("width_data", "direction", "left_predicate")):
        yield _case(f"{name}, of {category}", partial(_verdict, category, text), _unread, source=f"judges: values, {name}")
    for number, reply in enumerate(_objects()):
        yield _case(f"an object without what is due, {number}", partial(_read, reply), _failed)
    for name, status, body in BODIES:
        prepare = partial(_served, status, body)
        yield Case(group="judges", name=f"HTTP {status}: {name}", prepare=prepare, expected=Read(_failed), slow=status >= 500)
        expected = Read(_empty) if name.startswith("content") else WorkError
        asked, source = partial(_asked, status, body), f"judges: HTTP {status}: {name}"
        yield Case(group="endpoints", name=source[8:], source=source, prepare=asked, expected=expected, slow=status >= 500)


def _case(name: str, act: Act, holds: Any, source: str = "") -> Case:
    return Case(group="judges", name=name, prepare=lambda folder: act, expected=Read(holds), source=source)


def _failed(grade: Grade) -> bool:
    return bool(grade.failure) and not grade.scores and len(grade.failure or "") < 1000


def _verdict(category: Category, text: str) -> Verdict | str:
    """A reply that cannot be read is a `ValueError`, which the stage takes for a failed judgement."""
    try:
        return read_verdict(category, text)
    except ValueError:
        return "unread"


def _unread(result: Verdict | str) -> bool:
    return result == "unread"


def _read(body: Any) -> Grade:
    """The grade in a reply of an endpoint, or that there is none in it."""
    try:
        return read_completion(read_completions("judge", body, n=1, prefix="")[0])
    except BusyError as error:
        return Grade(failure=str(error))


def _objects() -> Iterator[Any]:
    message = {"content": None, "refusal": None}
    yield None
    yield {}
    yield {"choices": None, "usage": None}
    yield {"choices": [], "usage": {"prompt_tokens": -5, "completion_tokens": "many"}}
    yield {"choices": [{"message": message, "finish_reason": "stop"}]}
    yield {"choices": [{"message": None, "finish_reason": None}]}
    yield {"choices": [{"message": message, "finish_reason": "content_filter"}]}
    yield {"choices": [{"message": {"content": 7, "refusal": None}, "finish_reason": "stop"}]}
    yield {"choices": [{"message": {"content": "x", "refusal": "no"}, "finish_reason": "stop"}]}


def _served(status: int, body: bytes, folder: Path) -> Act:
    scene, question = made.asked()
    request = grade_request(scene, question, "<region1> is left of <region2>.")

    def act() -> Grade:
        with _endpoint(status, body) as url:
            judge = ApiJudge(f"api:judge@{url}/v1", ApiJudgeConfig(retries=0, timeout=10))
            return asyncio.run(judge.grade(request))

    return act


def _asked(status: int, body: bytes, folder: Path) -> Act:
    """The same reply to a model that writes."""
    scene, question = made.asked()

    async def ask(url: str) -> Any:
        policy = ApiPolicy(f"api:writer@{url}/v1", ApiConfig(timeout=10))
        try:
            return await policy.complete(prompt(question, scene), n=1, seed=0)
        finally:
            await policy.aclose()

    def act() -> Any:
        with _endpoint(status, body) as url:
            return asyncio.run(ask(url))

    return act


def _empty(completions: Any) -> bool:
    return [one.text for one in completions] == [""]


@contextmanager
def _endpoint(status: int, body: bytes) -> Iterator[str]:
    """An endpoint on the loopback interface that says one thing to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
