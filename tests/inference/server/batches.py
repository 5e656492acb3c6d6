"""A real HTTP server on the loopback address with a batch API, by its public description: files, batches, their statuses.

Batches get on by being looked at: `validating`, `in_progress`, `finalizing`, then their end. What it was asked is written down
before it answers, so a test can kill whoever asks at any step: `at` is called before and after each.
"""

import json
import re
import uuid
from collections import Counter
from dataclasses import dataclass, field

from inference.server.server import Ask, Handler, Reply, Server, refuse


@dataclass(kw_only=True)
class Plan:
    """How a batch server behaves.

    Attributes:
        steps: Statuses on the way, one a look.
        end: The last status: "completed", "expired", "cancelled" or "failed".
        answered: Of the requests of a batch, whether this one, by its place, is answered before the end.
        refusal: Why a batch is not taken, given how many requests it has and how many batches there were; None takes it.
        errors: Why it failed.
        lists: Whether batches are listed.
        keeps_metadata: Whether a batch tells what was sent with it.
        capitals: Whether statuses are in capitals.
    """

    steps: tuple = ("validating", "in_progress", "finalizing")
    end: str = "completed"
    answered: object = staticmethod(lambda place: True)
    refusal: object = staticmethod(lambda requests, batches: None)
    errors: tuple = ()
    lists: bool = True
    keeps_metadata: bool = True
    capitals: bool = False


@dataclass(kw_only=True)
class Made:
    """A batch at the server."""

    id: str
    file: str
    metadata: dict
    rows: list
    plan: Plan
    looks: int = 0
    output: str | None = None
    error: str | None = None
    done: bool = False
    counts: Counter = field(default_factory=Counter)


class BatchServer(Server):
    """Also answers plain requests; `respond` answers the requests of batches too.

    Attributes:
        plans: How batches behave, in the order in which they are made; the last holds for all that follow.
        executed: How often each request was answered with success, by what was asked: these cost money.
        at: Called with a step's name, before and after it is taken.
    """

    def __init__(self, respond, *plans, at=lambda step: None, port=0):
        super().__init__(respond, port)
        self.plans = list(plans) or [Plan()]
        self.files, self.made, self.executed, self.at = {}, [], Counter(), at
        self.RequestHandlerClass = BatchHandler
        self.steps = []

    def plan(self):
        return self.plans[min(len(self.made), len(self.plans) - 1)]

    def execute(self, batch):
        """Answer the requests of a batch that has ended."""
        lines = {"output": [], "error": []}
        for place, row in enumerate(batch.rows):
            if batch.plan.end == "failed" or not batch.plan.answered(place):
                if batch.plan.end == "expired":
                    error = {
                        "code": "batch_expired",
                        "message": "It could not be executed before the window expired.",
                    }
                    lines["error"].append({"custom_id": row["custom_id"], "response": None, "error": error})
                continue
            prompt = json.dumps([row["body"]["messages"], row["body"].get("seed")])
            self.prompts[prompt] += 1
            reply = self.respond(Ask(body=row["body"], headers={}, again=self.prompts[prompt] - 1, number=place))
            kind = "output" if reply.status == 200 else "error"
            batch.counts["completed" if kind == "output" else "failed"] += 1
            self.executed.update([prompt] if kind == "output" else [])
            response = {"status_code": reply.status, "request_id": "r", "body": reply.value}
            lines[kind].append({"id": "x", "custom_id": row["custom_id"], "response": response, "error": None})
        for kind, rows in lines.items():
            if rows:
                name = f"file-{kind}-{batch.id}"
                rows.reverse()  # in any order, says the description
                self.files[name] = "".join(json.dumps(row) + "\n" for row in rows).encode()
                setattr(batch, kind, name)
        batch.done = True


class BatchHandler(Handler):
    def do_POST(self):
        if self.path.endswith("/chat/completions"):
            super().do_POST()
            return
        step = "upload" if self.path.endswith("/files") else "create"
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.step(step, lambda: self.uploaded(data) if step == "upload" else self.created(json.loads(data)))

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path.endswith("/batches"):
            self.step("list", lambda: self.listed(query))
        elif "/batches/" in path:
            self.step("look", lambda: self.looked(path.rpartition("/")[2]))
        else:
            self.step("read", lambda: self.content(path.split("/")[-2]))

    def step(self, name, act):
        self.server.at(f"before {name}")
        with self.server.lock:
            self.server.steps.append(name)
            reply = act()
        self.server.at(f"within {name}")
        self.answer(reply, stream=False)
        self.server.at(f"after {name}")

    def uploaded(self, data):
        boundary = re.search("boundary=(.*)", self.headers["Content-Type"])[1].encode()
        parts = data.split(b"--" + boundary)[1:-1]
        fields = {}
        for part in parts:
            head, _, body = part.partition(b"\r\n\r\n")
            fields[re.search(rb'name="(\w+)"', head)[1].decode()] = body[:-2]
        assert fields["purpose"] == b"batch"
        name = f"file-{uuid.uuid4().hex[:12]}"
        self.server.files[name] = fields["file"]
        return Reply(value={"id": name, "object": "file", "bytes": len(fields["file"]), "purpose": "batch"})

    def created(self, body):
        server = self.server
        if body.get("endpoint") != "/v1/chat/completions" or body.get("completion_window") != "24h":
            return refuse(400, "bad batch")
        rows = [json.loads(line) for line in server.files[body["input_file_id"]].splitlines()]
        assert len({row["custom_id"] for row in rows}) == len(rows)
        assert all((row["method"], row["url"]) == ("POST", "/v1/chat/completions") for row in rows)
        plan = server.plan()
        refused = plan.refusal(len(rows), sum(not batch.done for batch in server.made))
        if isinstance(refused, Reply):
            return refused
        if refused:
            plan = Plan(steps=("validating",), end="failed", errors=(refused,))
        metadata = body.get("metadata") if plan.keeps_metadata else None
        made = Made(id=f"batch_{uuid.uuid4().hex[:12]}", file=body["input_file_id"], metadata=metadata, rows=rows, plan=plan)
        server.made.append(made)
        return Reply(value=self.told(made))

    def listed(self, query):
        if not self.server.made or not self.server.plan().lists:
            return (
                Reply(value={"object": "list", "data": [], "has_more": False})
                if self.server.plan().lists
                else refuse(404, "no")
            )
        newest = [self.told(batch) for batch in reversed(self.server.made)]
        after = re.search("after=([^&]*)", query)
        start = 1 + [batch["id"] for batch in newest].index(after[1]) if after else 0
        return Reply(value={"object": "list", "data": newest[start : start + 2], "has_more": start + 2 < len(newest)})

    def looked(self, name):
        batch = next((made for made in self.server.made if made.id == name), None)
        if batch is None:
            return refuse(404, f"No batch found with id '{name}'.")
        batch.looks += 1
        if batch.looks > len(batch.plan.steps) and not batch.done:
            self.server.execute(batch)
        return Reply(value=self.told(batch))

    def content(self, name):
        if name not in self.server.files:
            return refuse(404, "No such File object")
        return Reply(data=self.server.files[name])

    def told(self, batch):
        status = batch.plan.end if batch.done else batch.plan.steps[min(batch.looks, len(batch.plan.steps) - 1)]
        counts = {"total": len(batch.rows), "completed": batch.counts["completed"], "failed": batch.counts["failed"]}
        return {
            "id": batch.id, "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": batch.file,
            "completion_window": "24h", "status": status.upper() if batch.plan.capitals else status,
            "output_file_id": batch.output, "error_file_id": batch.error or "", "metadata": batch.metadata,
            "errors": {"object": "list", "data": list(batch.plan.errors)} if batch.done and batch.plan.errors else None,
            "request_counts": counts,
        }  # fmt: skip
