"""A real HTTP server on the loopback address that answers chat completions as a table of behaviours says."""

import base64
import gzip
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from spatialreasoner.language.responses import steps

ANSWER = (
    "<description><region1> is a ball.</description>\n<reasoning>### Rationale\nI look.\n### Let's think step by step\n"
    "### Step 1\nIt is 0.5 m wide.\n</reasoning>\n### In Conclusion\n<region1> is 0.5 meters wide."
)


@dataclass(kw_only=True)
class Ask:
    """One request: its JSON, how often its prompt has been asked, and how many requests came before it."""

    body: dict[str, Any]
    headers: dict[str, str]
    again: int
    number: int

    @property
    def roles(self):
        return [message["role"] for message in self.body["messages"]]

    @property
    def images(self):
        contents = [message["content"] for message in self.body["messages"] if isinstance(message["content"], list)]
        return [part for content in contents for part in content if part.get("type") == "image_url"]

    @property
    def side(self):
        """The longer side of its first image, pixels, as the PNG's header tells."""
        data = base64.b64decode(self.images[0]["image_url"]["url"].partition(",")[2][:64])
        return max(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))

    def rest(self):
        """The answer after what is written already, whichever way the prefix was given."""
        last = self.body["messages"][-1]
        written = len(steps(last["content"])) if last["role"] == "assistant" else 0
        return "".join(step.text for step in steps(ANSWER)[written:])


@dataclass(kw_only=True)
class Reply:
    """What goes back: a status, JSON or bytes, headers; `drop` hangs up after that many bytes, `delay` waits before."""

    status: int = 200
    value: Any = None
    data: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: int | None = None
    delay: float = 0.0
    slowly: float = 0.0

    def payload(self):
        return self.data if self.data is not None else json.dumps(self.value).encode()


def completion(ask, text=None, *, finish="stop", choices=None, usage=None, **message):
    """A chat completion in OpenAI's form."""
    text = ask.rest() if text is None else text
    content = {"role": "assistant", "content": text, **message}
    count = (ask.body.get("n") or 1) if choices is None else choices
    listed = [{"index": index, "finish_reason": finish, "message": content} for index in range(count)]
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18} if usage is None else usage
    return Reply(value={"id": "1", "object": "chat.completion", "model": "m", "choices": listed, "usage": usage})


def refuse(status, message, *, param=None, code=None, kind="invalid_request_error", headers=None):
    """An error in OpenAI's form."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Reply(status=status, value={"error": error}, headers=headers or {})


def packed(value):
    return gzip.compress(json.dumps(value).encode())


class Server(ThreadingHTTPServer):
    """Answers by `respond(ask) -> Reply`; keeps every request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, respond, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.respond, self.asks, self.prompts, self.lock = respond, [], Counter(), threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""

    def start(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        self.shutdown()
        self.server_close()

    def sent(self, *names):
        """How many requests held any of these keys."""
        return sum(any(name in ask.body for name in names) for ask in self.asks)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = json.dumps([body["messages"], body.get("seed")])
        with self.server.lock:
            self.server.prompts[prompt] += 1
            headers = {name.lower(): value for name, value in self.headers.items()}
            ask = Ask(body=body, headers=headers, again=self.server.prompts[prompt] - 1, number=len(self.server.asks))
            self.server.asks.append(ask)
        self.answer(self.server.respond(ask), stream=bool(body.get("stream")))

    def answer(self, reply, *, stream):
        if reply.delay:
            threading.Event().wait(reply.delay)
        payload, kind = reply.payload(), "application/json"
        if stream and reply.status == 200 and isinstance(reply.value, dict) and reply.value.get("choices"):
            payload, kind = events(reply.value), "text/event-stream"
        headers = {"Content-Type": kind, "Content-Length": str(len(payload)), **reply.headers}
        if reply.drop is not None:
            payload = payload[: reply.drop]
            self.close_connection = True
            if not payload:
                return
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.slowly:
            for byte in payload:
                self.wfile.write(bytes([byte]))
                threading.Event().wait(reply.slowly)
        else:
            self.wfile.write(payload)

    def log_message(self, *_):
        pass


def events(value):
    """A completion as a stream of events, a word each."""
    lines = []
    for choice in value["choices"]:
        message = choice["message"]
        for name in ("reasoning_content", "content"):
            words = (message.get(name) or "").split(" ")
            for place, word in enumerate(words):
                delta = {name: f"{' ' if place else ''}{word}"}
                lines.append({"choices": [{"index": choice["index"], "delta": delta, "finish_reason": None}]})
        lines.append({"choices": [{"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}]})
    lines.append({"choices": [], "usage": value["usage"]})
    return b"".join(b"data: " + json.dumps(line).encode() + b"\n\n" for line in lines) + b"data: [DONE]\n\n"
