"""Real servers with tiny models of random weights, started for tests: transformers serve, vLLM on the CPU, llama.cpp."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
SERVERS = ROOT / ".venv-servers"
TEXTS = ["How wide is <region1>? It is 2 m wide."] * 20
_QUIET = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
_VLLM = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_LLAMA = """
import sys, threading, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.mmproj.path = sys.argv[1:3]
params.hostnames, params.port, params.n_ctx, params.n_parallel = ["127.0.0.1"], int(sys.argv[3]), 8192, 2
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
threading.Event().wait()
"""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A server that runs.

    Attributes:
        url: Its base URL.
        model: The name under which it serves its model.
    """

    url: str
    model: str

    @property
    def name(self) -> str:
        """The name of the policy that asks it."""
        return f"api:{self.model}@{self.url}"


def missing(server: str) -> str:
    """Why vLLM or llama.cpp cannot be started, or ""."""
    told = SERVERS / "servers.json"
    if not told.exists():
        return "python scripts/install_servers.py .venv-servers has not been run"
    return json.loads(told.read_text()).get(server, "it is not installed")


@contextmanager
def transformers_serve(folder: Path) -> Iterator[Serving]:
    """`transformers serve`, from the environment of the tests."""
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--device", "cpu"]
    with _started([*command, "--host", "127.0.0.1", "--port"], folder.parent / "log.txt", patience=270) as url:
        yield Serving(url=url, model=str(folder))


@contextmanager
def vllm(folder: Path) -> Iterator[Serving]:
    """vLLM, from an environment of its own."""
    command = [str(SERVERS / "bin" / "python"), str(SERVERS / "bin" / "vllm"), "serve", str(folder), "--host", "127.0.0.1"]
    command += ["--max-model-len", "4096", "--enforce-eager", "--dtype", "float32", "--served-model-name", "tiny", "--port"]
    with _started(command, folder.parent / "log.txt", patience=900, settings=_VLLM) as url:
        yield Serving(url=url, model="tiny")


@contextmanager
def llama_cpp(text: Path, vision: Path) -> Iterator[Serving]:
    """llama.cpp's server with two slots of 4,096 tokens."""
    command = [str(SERVERS / "bin" / "python"), "-c", _LLAMA, str(text), str(vision)]
    with _started(command, text.parent / "log.txt", patience=60) as url:
        yield Serving(url=url, model="tiny")


@contextmanager
def _started(command: list[str], log: Path, *, patience: float, settings: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server whose last argument is its port, and stop it in the end."""
    port = _free_port()
    environment = {**os.environ, **_QUIET, **(settings or {})}
    environment.pop("PYTHONPATH", None)
    with log.open("w") as said:
        server = subprocess.Popen([*command, str(port)], stdout=said, stderr=said, env=environment)
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}/health", server, log, patience)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(timeout=60)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"it did not come up: {log.read_text()[-2000:]}")
