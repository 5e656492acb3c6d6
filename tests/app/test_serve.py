"""The app ends soon, whatever is at work in it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

WITHIN = 20
"""Seconds, on a busy machine; what is at work would take a minute."""


@pytest.fixture
def silent():
    """An endpoint that takes questions and never answers."""
    kept = []
    with socket.create_server(("127.0.0.1", 0), backlog=20) as listening:

        def accept():
            with suppress(OSError):
                while True:
                    kept.append(listening.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"api:m@http://127.0.0.1:{listening.getsockname()[1]}/v1"
        for each in kept:
            each.close()


@pytest.fixture
def app(silent, tmp_path):
    """A running app, its port, and the folder of its temporary files."""
    command = [sys.executable, "-m", "spatialreasoner", "app", "--model", silent, "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(tmp_path), start_new_session=True
    )
    told = re.search(r":(\d+)/", process.stdout.readline())
    yield process, int(told[1]), silent
    process.kill()
    process.communicate()


def environment(folder):
    return {**os.environ, "TMPDIR": str(folder)}


def waiting(stack, port, model):
    """A visitor whose answer never comes."""

    def send(path, body, token=""):
        connection = stack.enter_context(closing(HTTPConnection("127.0.0.1", port, timeout=60)))
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "X-Session": token})
        return stack.enter_context(connection.getresponse())

    token = json.load(send("/api/begin", {}))["token"]
    send("/api/example", {"number": 0}, token).read()
    reply = send("/api/ask", {"question": "How wide is <region1>?", "models": [model]}, token)
    assert b"writing" in reply.readline()


@pytest.mark.parametrize("sent", [(signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_it_ends_while_visitors_wait(app, sent, tmp_path):
    process, port, model = app
    with ExitStack() as stack:
        for _ in range(3):
            waiting(stack, port, model)
        assert list(Path(tmp_path).glob("spatialreasoner-app-*"))
        begun = time.monotonic()
        for each in sent:
            process.send_signal(each)
        said, _ = process.communicate(timeout=WITHIN)
    assert process.returncode == (143 if signal.SIGTERM in sent else 130)
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert time.monotonic() - begun < WITHIN
    assert not list(Path(tmp_path).glob("spatialreasoner-app-*"))


HANGING = """
import threading, time, sys
from pathlib import Path
from spatialreasoner.app import serve
from spatialreasoner.app.config import AppConfig
from spatialreasoner.cli import running
import typer

app = typer.Typer()

@app.command()
def hang():
    threading.Thread(target=time.sleep, args=(60,)).start()  # as one that measures an image
    serve.serve(AppConfig(models=("scripted:careful",), port=0))

running.run(app, [])
"""


def test_it_does_not_wait_for_threads(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(tmp_path),
        start_new_session=True,
    )  # fmt: skip
    assert "The app is at" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=WITHIN)
    assert (process.returncode, "Traceback" in said) == (130, False)
    assert not list(Path(tmp_path).glob("spatialreasoner-app-*"))


STUBBORN = """
import time, typer
from spatialreasoner.cli import running

app = typer.Typer()

@app.command()
def stay():
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        time.sleep(60)

running.run(app, [])
"""


def begun(program):
    """A process of a program that has said "begun"."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "begun\n"
    return process


def test_a_later_signal_ends_any_command_at_once():
    process = begun(STUBBORN)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    time.sleep(1.5)
    assert process.poll() is None  # both counted as one
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WITHIN)
    assert (process.returncode, said) == (130, "Interrupted. Run the same command again to resume\n")


ENDING = """
import os, time, typer
from spatialreasoner.cli import running

app = typer.Typer()

class Slow:
    def __del__(self, write=os.write, sleep=time.sleep):  # as the interpreter ends
        write(1, b"ending\\n")
        sleep(1)

slow = Slow()

@app.command()
def stay():
    print("begun", flush=True)
    time.sleep(60)

running.run(app, [])
"""


def test_a_signal_while_the_interpreter_ends_changes_nothing():
    process = begun(ENDING)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WITHIN)
    assert process.returncode == 130
