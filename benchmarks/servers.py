"""What real servers do with what is asked of them, one line per question, as seen.

    python benchmarks/servers.py [transformers] [vllm] [llama.cpp]
    python benchmarks/servers.py MODEL@BASE_URL

The first form starts servers with tiny models of random weights: `transformers serve` from this environment, the others from
`.venv-servers` (`python scripts/install_servers.py .venv-servers`). The second asks a server that runs, in about 30 requests.
Nothing here knows how this package asks: requests are written out. `docs/how-to/servers.md` holds the answers as a table.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from inference.server import real
from inference.server.tiny_gguf import write_gguf
from spatialreasoner.testing.tiny_models import build_tiny

Chat = list[dict[str, Any]]
ASKED: Chat = [{"role": "user", "content": "How wide is it?"}]
BEGUN: Chat = [*ASKED, {"role": "assistant", "content": "It is 2"}]
SAMPLED = {"temperature": 0.9}
GREEDY = {"temperature": 0}


class Asking:
    """Sends requests and reads replies.

    Args:
        serving: The server.
    """

    def __init__(self, serving: real.Serving) -> None:
        self._url, self._model = f"{serving.url}/chat/completions", serving.model

    def __call__(self, chat: Chat = ASKED, **settings: Any) -> Replied:
        """The reply to a chat; 8 tokens unless settings say otherwise."""
        body = {"model": self._model, "messages": chat, "max_tokens": 8, **settings}
        return Replied(
            httpx.post(self._url, json={name: value for name, value in body.items() if value is not None}, timeout=600)
        )


class Replied:
    """One reply.

    Args:
        reply: As it came.
    """

    def __init__(self, reply: httpx.Response) -> None:
        self.status = reply.status_code
        body = reply.json() if reply.headers.get("content-type", "").startswith("application/json") else {}
        choices = body.get("choices", []) if isinstance(body, dict) else []
        self.texts = [choice["message"].get("content") or "" for choice in choices]
        self.finish = [choice["finish_reason"] for choice in choices]
        usage = (body.get("usage") or {}) if isinstance(body, dict) else {}
        self.read, self.written = usage.get("prompt_tokens"), usage.get("completion_tokens")
        self.refusal = "" if choices else f"{reply.status_code}: {' '.join(reply.text.split())[:230]}"


def facts(ask: Asking) -> Iterator[tuple[str, str]]:
    """What was asked, and what came of it."""
    yield "instructions by role", " / ".join(f"{role}: {_roles(ask, role)}" for role in ("system", "developer"))
    yield "an image", _image(ask)
    yield "two images", _tokens(ask, 2)
    yield "a begun message, continue_final_message", _begun(ask(BEGUN, **_CONTINUED, **GREEDY))
    yield "a begun message alone", _begun_alone(ask)
    yield "n = 3", _several(ask(n=3, seed=1, **SAMPLED))
    yield "n = 3 at temperature 0", _several(ask(n=3, **GREEDY))
    yield "n = 2, seed 1: its second reply", _second(ask)
    yield "n = 2: completion tokens counted", _counted(ask)
    yield "seed 1 again / seed 2", _seeds(ask)
    yield "temperature 0, seeds 1 and 2", _same(ask(seed=1, **GREEDY), ask(seed=2, **GREEDY))
    yield "max_tokens 4 / max_completion_tokens 4", f"{_length(ask(max_tokens=4))} / {_length(_completion(ask, 4))}"
    yield "finish at its own end", _finish(ask(max_tokens=3000, seed=1, temperature=1.0))
    yield "max_tokens 100000", _ended(ask(max_tokens=100_000, seed=1, temperature=1.0))
    yield "a prompt beyond the context", _ended(ask([{"role": "user", "content": "wide " * 9000}]))
    yield "another model's name", _ended(ask(model="another"))


_CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}


def _ended(reply: Replied) -> str:
    return reply.refusal or f"answered, {reply.written} tokens, finish {reply.finish[0]!r}"


def _roles(ask: Asking, role: str) -> str:
    reply = ask([{"role": role, "content": "Be very short, please."}, *ASKED])
    return reply.refusal or ("read" if (reply.read or 0) > (ask().read or 0) else "not read")


def _image(ask: Asking) -> str:
    red, blue = (ask(_seen(hue, 1), **GREEDY) for hue in ("red", "blue"))
    if red.refusal:
        return red.refusal
    return f"read ({_tokens(ask, 1)}; replies to a red and a blue one {'differ' if red.texts != blue.texts else 'are equal'})"


def _tokens(ask: Asking, count: int) -> str:
    reply, without = ask(_seen("red", count)), ask()
    return reply.refusal or f"{(reply.read or 0) - (without.read or 0)} tokens more than without"


def _seen(hue: str, count: int) -> Chat:
    data = io.BytesIO()
    Image.new("RGB", (120, 90), hue).save(data, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
    images = [{"type": "image_url", "image_url": {"url": url}}] * count
    return [{"role": "user", "content": [*images, {"type": "text", "text": "How wide is it?"}]}]


def _begun(reply: Replied) -> str:
    if reply.refusal:
        return reply.refusal
    return (
        "continued; the reply repeats it"
        if reply.texts[0].startswith("It is 2")
        else "continued; the reply is what comes after it"
    )


def _begun_alone(ask: Asking) -> str:
    reply, continued = ask(BEGUN, **GREEDY), ask(BEGUN, **_CONTINUED, **GREEDY)
    if reply.read == continued.read or (reply.texts[:1] and reply.texts[0].startswith("It is 2")):
        return _begun(reply)
    return reply.refusal or "taken for a whole turn; the reply is another one after it"


def _several(reply: Replied) -> str:
    return reply.refusal or f"{len(reply.texts)} replies, {len(set(reply.texts))} of them different"


def _second(ask: Asking) -> str:
    both, next_seed = ask(n=2, seed=1, **SAMPLED), ask(seed=2, **SAMPLED)
    if both.refusal or len(both.texts) < 2:
        return both.refusal or "there is none"
    return "is the reply to seed 2" if both.texts[1] == next_seed.texts[0] else "is another one than that to seed 2"


def _counted(ask: Asking) -> str:
    reply = ask(n=2, seed=1, **SAMPLED)
    return reply.refusal or f"{reply.written} for {len(reply.texts)} replies of at most 8"


def _seeds(ask: Asking) -> str:
    first = ask(seed=1, **SAMPLED)
    return f"{_same(first, ask(seed=1, **SAMPLED))} / {_same(first, ask(seed=2, **SAMPLED))}"


def _same(first: Replied, second: Replied) -> str:
    return first.refusal or second.refusal or ("equal" if first.texts == second.texts else "different")


def _length(reply: Replied) -> str:
    return reply.refusal or f"{reply.written} tokens, finish {reply.finish[0]!r}"


def _completion(ask: Asking, count: int) -> Replied:
    return ask(max_tokens=None, max_completion_tokens=count)


def _finish(reply: Replied) -> str:
    return reply.refusal or f"{reply.finish[0]!r} after {reply.written} tokens"


@contextmanager
def transformers(folder: Path) -> Iterator[real.Serving]:
    """`transformers serve` with a LLaVA."""
    with real.transformers_serve(build_tiny("llava", folder / "model", real.TEXTS)) as serving:
        yield serving


@contextmanager
def vllm(folder: Path) -> Iterator[real.Serving]:
    """VLLM with a Qwen2.5-VL."""
    with real.vllm(build_tiny("qwen2_5_vl", folder / "model", real.TEXTS)) as serving:
        yield serving


@contextmanager
def llama_cpp(folder: Path) -> Iterator[real.Serving]:
    """llama.cpp with a LLaVA."""
    with real.llama_cpp(*write_gguf(build_tiny("llava", folder / "model", real.TEXTS))) as serving:
        yield serving


SERVERS: dict[str, Callable[[Path], Any]] = {"transformers": transformers, "vllm": vllm, "llama.cpp": llama_cpp}


def show(name: str, serving: real.Serving) -> None:
    """Ask, and print what came."""
    for asked, came in facts(Asking(serving)):
        print(f"{name} | {asked} | {came}", flush=True)


def main(wanted: list[str]) -> None:
    """Ask the servers that are named, or all."""
    for name in wanted or list(SERVERS):
        if "@" in name:
            model, _, url = name.partition("@")
            show(name, real.Serving(url=url, model=model))
            continue
        if name != "transformers" and (why := real.missing(name)):
            print(f"{name}: skipped: {why}")
            continue
        with tempfile.TemporaryDirectory() as folder, SERVERS[name](Path(folder)) as serving:
            show(name, serving)


if __name__ == "__main__":
    main(sys.argv[1:])
