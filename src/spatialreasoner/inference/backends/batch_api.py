"""The batch API of OpenAI-compatible endpoints: a file of requests is uploaded, processed within a day, and read back.

As its public description says: a JSON line per request (`custom_id`, `method`, `url`, `body`), uploaded to `files` for the
purpose "batch"; `batches` takes the file's id and gives a batch, whose status is asked for until it ends. Requests that were
answered are in its output file and the others in its error file, in any order. Either file may be missing. What servers write
otherwise (statuses in capitals, "" for a file that there is not, errors without a response) is read too.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spatialreasoner.core.errors import BusyError, EndpointError, PromptError
from spatialreasoner.inference.backends.http import Answered, HttpClient
from spatialreasoner.inference.backends.replies import parse_body
from spatialreasoner.inference.said import is_error

MOST_REQUESTS = 50_000
"""Maximum number of requests in a batch, by the public limits."""

MOST_FILE_BYTES = 200 * 10**6
"""Maximum size of a batch's file, by the public limits."""

MOST_PAGES = 100
"""Pages of a list of batches that are looked through for a lost one: ten thousand batches."""

TOKEN = "spatialreasoner"
"""The key in a batch's metadata under which it can be found again."""

_TRANSFER_SECONDS = 3600.0
_URL = "/v1/chat/completions"
_ID = re.compile(r"[A-Za-z0-9_](?!.*\.\.)[A-Za-z0-9_\-=.:~/]{0,499}")

Ended = Literal["completed", "failed", "expired", "cancelled"]

_ENDS: Mapping[str, Ended] = {
    **dict.fromkeys(("completed", "complete", "succeeded", "success", "done", "ended"), "completed"),
    **dict.fromkeys(("failed", "error"), "failed"),
    **dict.fromkeys(("expired", "timeout_exceeded"), "expired"),
    **dict.fromkeys(("cancelled", "canceled"), "cancelled"),
}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch as the server describes it.

    Attributes:
        id: Its id.
        status: Its status in the server's word, lower case: "validating", "in_progress", "finalizing", "cancelling" and so on.
        total: Requests in it; 0 if the server does not tell.
        completed: Requests that were answered so far.
        failed: Requests that were not.
        files: The ids of the output file and the error file, those that there are.
        errors: Why it failed as a whole, in the server's words.
        codes: The codes of these errors.
    """

    id: str
    status: str
    total: int = 0
    completed: int = 0
    failed: int = 0
    files: tuple[str, ...] = ()
    errors: str = ""
    codes: frozenset[str] = frozenset()

    @property
    def ended(self) -> Ended | None:
        """How it ended, or None while it is in progress."""
        return _ENDS.get(self.status)


class NoBatchError(EndpointError):
    """The server does not know the batch."""


class BatchApi:
    """The batch API of one endpoint.

    Args:
        name: What to call the endpoint in errors.
        client: Sends requests to it.
        failure: What an answer that is an error means.
    """

    def __init__(self, name: str, client: HttpClient, failure: Callable[[Answered], EndpointError]) -> None:
        self._name, self._client, self._failure = name, client, failure

    async def upload(self, file: Path) -> str:
        """Upload a file of requests; returns its id.

        Raises:
            BusyError: If asking again may help.
            EndpointError: If it will not; also where the endpoint has no batch API.
        """
        answered = await self._client.upload("files", file, {"purpose": "batch"}, _TRANSFER_SECONDS)
        return _id(self._name, self._read(answered, "it has no batch API; leave out `batch`"))

    async def create(self, file: str, token: str) -> Batch:
        """Submit an uploaded file of requests as a batch.

        Args:
            file: The file's id.
            token: By which the batch can be found again.

        Raises:
            BusyError: If asking again may help.
            EndpointError: If it will not.
        """
        body = {"input_file_id": file, "endpoint": _URL, "completion_window": "24h", "metadata": {TOKEN: token}}
        answered = await self._client.post("batches", body, {"Idempotency-Key": token})
        if answered.status in {400, 404} and "file" in answered.text and file in answered.text:
            # seen at hosted servers: a file that was just uploaded is not known everywhere yet
            raise BusyError(f"{self._name} does not know the file {file} yet", kind="server error")
        return self._batch(self._read(answered, "it has no batch API; leave out `batch`"))

    async def get(self, batch: str) -> Batch:
        """The status of a batch.

        Raises:
            NoBatchError: If the server does not know it.
            BusyError: If asking again may help.
            EndpointError: If it will not.
        """
        answered = await self._client.get(f"batches/{batch}")
        if answered.status == 404:
            raise NoBatchError(
                f"{self._name} knows no batch {batch}; does {self._name} have the key that it was submitted with?"
            )
        return self._batch(self._read(answered))

    async def find(self, file: str, token: str) -> Batch | None:
        """The batch that was made of a file, if one was: by what was sent with it, or by the file.

        Raises:
            BusyError: If asking again may help.
            EndpointError: If the server does not list batches.
        """
        after = ""
        for _ in range(MOST_PAGES):
            answered = await self._client.get(f"batches?limit=100{after and f'&after={after}'}")
            body = self._read(answered, "it does not list its batches, so one that was submitted cannot be found again")
            listed = body.get("data") if isinstance(body, Mapping) else body
            batches = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
            for one in batches:
                metadata = one.get("metadata")
                if (isinstance(metadata, Mapping) and metadata.get(TOKEN) == token) or one.get("input_file_id") == file:
                    return self._batch(one)
            if not batches or not isinstance(body, Mapping) or not body.get("has_more"):
                return None
            after = _id(self._name, batches[-1])
        return None

    async def results(self, batch: Batch) -> AsyncGenerator[tuple[str, Answered | BusyError]]:
        """The requests of a batch that has ended, by their `custom_id`, each with its answer or why it has none.

        Raises:
            BusyError: If asking again may help.
            EndpointError: If it will not.
        """
        for file in batch.files:
            async for answered in self._client.lines(f"files/{file}/content", _TRANSFER_SECONDS):
                if answered.status >= 300:
                    self._read(answered, f"the file {file} of the batch {batch.id} is gone")
                row = parse_body(answered.text)
                if isinstance(row, Mapping) and isinstance(row.get("custom_id"), str):
                    yield row["custom_id"], _result(self._name, row)

    def _read(self, answered: Answered, missing: str = "") -> Any:
        body = parse_body(answered.text)
        if answered.status < 300 and not is_error(body):
            if body is None and missing != "":
                raise BusyError(f"{self._name}: the reply cannot be read: expected JSON", kind="bad reply")
            return body
        if answered.status in {404, 405, 501} and missing:
            raise EndpointError(f"{self._name}: {missing} (status {answered.status})")
        error = self._failure(answered)
        raise EndpointError(str(error)) if isinstance(error, PromptError) else error

    def _batch(self, body: Any) -> Batch:
        if not isinstance(body, Mapping) or not isinstance(body.get("status"), str):
            raise BusyError(f"{self._name}: expected a batch with its status", kind="bad reply")
        counts = body.get("request_counts")
        counts = counts if isinstance(counts, Mapping) else body
        messages, codes = _errors(body.get("errors"))
        return Batch(
            id=_id(self._name, body),
            status=body["status"].lower()[:40],
            **{name: _count(counts.get(name)) for name in ("total", "completed", "failed")},
            files=tuple(file for key in ("output_file_id", "error_file_id") if isinstance(file := body.get(key), str) and file),
            errors=messages,
            codes=codes,
        )


def row(custom_id: str, body: Mapping[str, Any]) -> bytes:
    """A request as a line of a batch's file."""
    line = {"custom_id": custom_id, "method": "POST", "url": _URL, "body": body}
    return json.dumps(line, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _result(name: str, row: Mapping[str, Any]) -> Answered | BusyError:
    """What a line of an output or error file says of its request."""
    response, error = row.get("response"), row.get("error")
    if isinstance(response, Mapping) and response.get("body") is not None:
        status, body = response.get("status_code"), response["body"]
        text = body if isinstance(body, str) else json.dumps(body)
        return Answered(status=status if isinstance(status, int) else 200, headers={}, text=text)
    said = error if isinstance(error, Mapping) else {"message": str(error or "the request has no answer")}
    code = str(said.get("code") or said.get("type") or "").lower()
    if "expired" in code or "cancelled" in code:
        return BusyError(f"{name}: {str(said.get('message'))[:200]}", kind="expired")
    status = 400 if any(part in code for part in ("invalid", "content", "policy", "too_long", "not_found")) else 500
    return Answered(status=status, headers={}, text=json.dumps({"error": said}))


def _id(name: str, body: Any) -> str:
    found = body.get("id") if isinstance(body, Mapping) else None
    if not isinstance(found, str) or not _ID.fullmatch(found):  # it becomes a part of an address
        raise BusyError(f"{name}: expected a reply with an id", kind="bad reply")
    return found


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value <= 10**9 else 0


def _errors(errors: Any) -> tuple[str, frozenset[str]]:
    """What the errors of a batch say, the first few of them, and their codes."""
    listed = errors.get("data") if isinstance(errors, Mapping) and isinstance(errors.get("data"), list) else errors
    listed = listed if isinstance(listed, list) else [listed] if listed else []
    messages: list[str] = []
    codes: set[str] = set()
    for one in listed[:1000]:
        said = one if isinstance(one, Mapping) else {"message": one}
        codes.add(str(said.get("code") or "").lower()[:80])
        line = f" (line {said['line']})" if isinstance(said.get("line"), int) else ""
        text = f"{str(said.get('message'))[:300]}{line}"
        if text not in messages and len(messages) < 3:
            messages.append(text)
    return "; ".join(messages), frozenset(codes)
