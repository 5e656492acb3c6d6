"""An endpoint with a judge, on the loopback interface."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from spatialreasoner.judges.rewards import JUDGED_CRITERIA


def reply(**changes: float | None) -> str:
    return json.dumps(
        {"criteria": {name: {"score": changes.get(name, 0.5), "reason": f"because {name}"} for name in JUDGED_CRITERIA}}
    )


class Endpoint:
    """An OpenAI-compatible endpoint on the loopback interface that says what it is told to."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.keys: list[str | None] = []
        self.say: Callable[[int], tuple[int, Any]] = lambda index: (200, reply())
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with endpoint.lock:
                    index = len(endpoint.requests)
                    endpoint.requests.append(body)
                    endpoint.keys.append(self.headers["authorization"])
                status, said = endpoint.say(index)
                if isinstance(said, str):
                    message = {"role": "assistant", "content": said}
                    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
                    said = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"api:test-judge@http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
