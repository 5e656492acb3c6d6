"""A second look at folders and files: models whose files lie, checkpoints that lie, pipes and links for inputs, disks."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from strange.case import Bench, Case, need
from strange.places import command, small_disk
from strange.replies import answers
from strange.server import Server, healthy
from strange.trainings import same, train

REFUSED = "exit 1 or 2 with what is wrong, in one message; no memory is spent on it"
WHOLE = "the newest complete checkpoint is used, and said, with the weights of a training that nobody killed; or a refusal"


def cases() -> Iterator[Case]:
    """Models, checkpoints, inputs, outputs and disks."""
    for name, change in MODELS:
        yield Case(kind="broken models", done=name, expected=REFUSED, run=partial(_model, change))
    for name, change in CHECKPOINTS:
        yield Case(kind="damaged checkpoints", done=name, expected=WHOLE, run=partial(_checkpoint, change))
    for name, make in INPUTS:
        yield Case(kind="odd inputs", done=f"questions: {name}", expected=REFUSED, run=partial(_input, make))
    for name, change in READ:
        yield Case(kind="odd inputs", done=f"questions: {name}", expected="4 of 4 answers", run=partial(_read, change))
    for name, prepare in OUTS:
        yield Case(
            kind="places", done=f"generate: {name}", expected=REFUSED + "; nothing visible is left", run=partial(_out, prepare)
        )
    for name in ("generate", "search", "train"):
        yield Case(
            kind="full disk", done=f"{name} where no file can be made any more", expected=REFUSED, run=partial(_nodes, name)
        )
        yield Case(kind="full disk", done=f"{name} on a disk of 120 kB", expected=REFUSED, run=partial(_small, name))
        yield Case(kind="places", done=f"{name} on a disk that is read-only", expected=REFUSED, run=partial(_read_only, name))
    yield Case(kind="file modes", done="generate with umask 777", expected="exit 0, or told; no traceback", run=_nobody)
    yield Case(
        kind="places", done="generate: a link to a file elsewhere", expected="exit 0, or told; the link stays one", run=_link
    )


def _json(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _indexed(index: object, *, shard: bool = True) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        weights = folder / "model.safetensors"
        weights.rename(folder / "model-00001-of-00002.safetensors") if shard else weights.unlink()
        text = index if isinstance(index, str) else json.dumps(index)
        (folder / "model.safetensors.index.json").write_text(text)

    return change


def _header(size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / "model.safetensors").write_bytes(struct.pack("<Q", size) + b"{" + b" " * 99)


def _tensors(header: dict[str, Any]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = json.dumps(header).encode()
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 64)

    return change


def _folder_for(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def _pipe_for(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def _patches(folder: Path) -> None:
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    _json("config.json", vision_config={**vision, "patch_size": 0})(folder)


MAP = {"weight_map": {"model.embed_tokens.weight": "model-00002-of-00002.safetensors"}}

MODELS: tuple[tuple[str, Callable[[Path], Any]], ...] = (
    ("half an index of weights", _indexed('{"weight_map": {"a"')),
    ("an index of weights that is a list", _indexed([1, 2])),
    ("an index of a shard that is not there", _indexed(MAP)),
    ("an index of no weights", _indexed({"weight_map": {}})),
    ("an index and no weights", _indexed(MAP, shard=False)),
    ("weights whose header says 2^60 bytes", _header(2**60)),
    ("weights whose header is brackets", lambda f: (f / "model.safetensors").write_bytes(
        struct.pack("<Q", 10_000) + b"[" * 10_000)),
    ("a tensor of 2^40 numbers", _tensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})),
    ("two tensors in one place", _tensors(
        {name: {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]} for name in ("a", "b")})),
    ("weights cut in half", lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:50_000])),
    ("no weights", lambda f: (f / "model.safetensors").unlink()),
    ("weights that are a pipe", _pipe_for("model.safetensors")),
    ("a tokenizer of 200,000 brackets", lambda f: (f / "tokenizer.json").write_text("[" * 200_000)),
    ("half a tokenizer", lambda f: (f / "tokenizer.json").write_text((f / "tokenizer.json").read_text()[:2_000])),
    ("a chat template that is a folder", _folder_for("chat_template.jinja")),
    ("a config.json that is a pipe", _pipe_for("config.json")),
    ("a model of a type that there is not", _json("config.json", model_type="no-such-model")),
    ("a vocabulary of 10^12 words", _json("config.json", vocab_size=10**12, text_config={"vocab_size": 10**12})),
    ("minus one layer", _json("config.json", num_hidden_layers=-1, text_config={"num_hidden_layers": -1})),
    ("patches of size 0", _patches),
)  # fmt: skip


def _model(change: Callable[[Path], Any], bench: Bench) -> str:
    folder = bench.folder / "model"
    shutil.copytree(bench.inputs / "model", folder)
    change(folder)
    end = bench.spatial("generate", bench.questions, "--model", folder, "--out", bench.folder / "out.jsonl").expect(1, 2)
    need(not (bench.folder / "out.jsonl").exists(), "there are predictions")
    return f"exit {end.code}: {end.error[:150]}"


def _digested(change: Callable[[Path], Any]) -> Callable[[Path], None]:
    """The change, with digests that vouch for it: a file that was written so."""

    def act(out: Path) -> None:
        from hashlib import sha256

        checkpoint = out / "checkpoint-4"
        change(checkpoint)
        digests = json.loads((checkpoint / "digests.json").read_text())
        present = {
            name: sha256((checkpoint / name).read_bytes()).hexdigest() for name in digests if (checkpoint / name).is_file()
        }
        (checkpoint / "digests.json").write_text(json.dumps(present))

    return act


def _other_shape(checkpoint: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    path = checkpoint / "optimizer.safetensors"
    with safe_open(path, framework="pt") as file:
        kept = file.metadata()
    save_file({name: value[..., :1].clone() if value.ndim else value for name, value in load_file(path).items()}, path, kept)


CHECKPOINTS: tuple[tuple[str, Callable[[Path], Any]], ...] = (
    ("a folder for scheduler.json", lambda out: _folder_for("scheduler.json")(out / "checkpoint-4")),
    ("a folder for the weights", lambda out: _folder_for("model.safetensors")(out / "checkpoint-4")),
    ("a pipe for trainer_state.json", lambda out: _pipe_for("trainer_state.json")(out / "checkpoint-4")),
    ("a link for the last checkpoint, to the one before", lambda out: (
        shutil.rmtree(out / "checkpoint-4"), (out / "checkpoint-4").symlink_to("checkpoint-2"))),
    ("a link for the last checkpoint, to itself", lambda out: (
        shutil.rmtree(out / "checkpoint-4"), (out / "checkpoint-4").symlink_to("checkpoint-4"))),
    ("a checkpoint-6 of weights alone", lambda out: (
        (out / "checkpoint-6").mkdir(), shutil.copy(out / "checkpoint-4" / "model.safetensors", out / "checkpoint-6"))),
    ("digests of names that lead out", lambda out: (out / "checkpoint-4" / "digests.json").write_text(
        '{"../../../../etc/passwd": "x"}')),
    ("an optimizer of other shapes, vouched for", _digested(_other_shape)),
    ("a step of 10^9, vouched for", _digested(_json("trainer_state.json", global_step=10**9))),
    ("a step in words, vouched for", _digested(_json("trainer_state.json", global_step="four"))),
    ("a schedule of no keys, vouched for", _digested(lambda checkpoint: (checkpoint / "scheduler.json").write_text("{}"))),
    ("a schedule that is a list, vouched for", _digested(lambda checkpoint: (checkpoint / "scheduler.json").write_text("[1]"))),
    ("no random state, vouched for", _digested(lambda checkpoint: (checkpoint / "rng_state_0.safetensors").unlink())),
)  # fmt: skip


def _checkpoint(change: Callable[[Path], Any], bench: Bench) -> str:
    out = bench.folder / "out"
    shutil.copytree(bench.inputs / "killed", out)
    change(out)
    end = bench.spatial(*train(bench, out, "max_steps=5", "save_steps=2")).expect(0, 1, 2)
    if end.code:
        return f"exit {end.code}: {end.error[:150]}"
    same(bench.inputs / "trained", out)
    said = [line for line in end.err.splitlines() if "checkpoint" in line]
    return said[0][:110] if said else "the same weights"


def _named(folder: Path) -> Path:
    return folder / "questions.jsonl"


def _fifo(folder: Path) -> Path:
    os.mkfifo(_named(folder))
    return _named(folder)


def _sparse(folder: Path) -> Path:
    with _named(folder).open("wb") as file:
        file.truncate(10**11)
    return _named(folder)


def _written(text: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        _named(folder).write_bytes(text)
        return _named(folder)

    return make


INPUTS: tuple[tuple[str, Callable[[Path], Path]], ...] = (
    ("a pipe that nobody writes into", _fifo),
    ("/dev/zero", lambda folder: Path("/dev/zero")),
    ("/proc/self/mem", lambda folder: Path("/proc/self/mem")),
    ("a file of 100 GB of nothing", _sparse),
    ("one line of 40 MB", _written(b'{"id": "' + b"x" * 40_000_000 + b'"}\n')),
    ("UTF-16", _written('{"id": "q"}\n'.encode("utf-16"))),
    ("numbers, not objects", _written(b"1\n2\n3\n")),
    ("half a line", _written(b'{"id": "q1", "scene_id": "s')),
    ("nothing but blank lines", _written(b"\n\n\n")),
    ("a gzip", _written(b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0")),
)


def _input(make: Callable[[Path], Path], bench: Bench) -> str:
    out = bench.folder / "out.jsonl"
    with Server(handler=healthy) as server:
        given = ("--scenes", bench.inputs / "scenes", "--model", server.model, "--out", out)
        end = bench.spatial("generate", make(bench.folder), *given).expect(1, 2, within=60)
        need(not server.asked, f"{len(server.asked)} requests")
    need(not out.exists(), "there are predictions")
    return f"exit {end.code}: {end.error[:150]}"


READ: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("a byte order mark first", lambda data: b"\xef\xbb\xbf" + data),
    ("line ends of Windows", lambda data: data.replace(b"\n", b"\r\n")),
    ("no end of the last line", lambda data: data.rstrip(b"\n")),
    ("blank lines between", lambda data: data.replace(b"\n", b"\n\n  \n")),
)


def _read(change: Callable[[bytes], bytes], bench: Bench) -> str:
    path, out = _named(bench.folder), bench.folder / "out.jsonl"
    path.write_bytes(change(bench.questions.read_bytes()))
    with Server(handler=healthy) as server:
        given = ("--scenes", bench.inputs / "scenes", "--model", server.model, "--out", out)
        bench.spatial("generate", path, *given).expect(0)
    need(answers(out) == answers(bench.inputs / "healthy.jsonl"), "other answers")
    return "4 of 4 answers"


def _journal_folder(folder: Path) -> Path:
    (folder / ".out.journal").mkdir()
    return folder / "out.jsonl"


def _journal_text(folder: Path) -> Path:
    (folder / ".out.journal").write_text("hello " * 2_000)
    return folder / "out.jsonl"


def _journal_pipe(folder: Path) -> Path:
    os.mkfifo(folder / ".out.journal")
    return folder / "out.jsonl"


def _lock_folder(folder: Path) -> Path:
    (folder / ".out.lock").mkdir()
    return folder / "out.jsonl"


def _circle(folder: Path) -> Path:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    return folder / "a" / "out.jsonl"


def _folder_of_config(folder: Path) -> Path:
    (folder / "out.config.json").mkdir()
    return folder / "out.jsonl"


OUTS: tuple[tuple[str, Callable[[Path], Path]], ...] = (
    ("its journal is a folder", _journal_folder),
    ("its journal is a text", _journal_text),
    ("its journal is a pipe", _journal_pipe),
    ("its lock is a folder", _lock_folder),
    ("a circle of links on the way", _circle),
    ("a folder in the place of its settings", _folder_of_config),
    ("a folder of /proc", lambda folder: Path("/proc/1/out.jsonl")),
)


def _out(prepare: Callable[[Path], Path], bench: Bench) -> str:
    out = prepare(bench.folder)
    before = {path.name for path in bench.folder.iterdir()}
    with Server(handler=healthy) as server:
        end = bench.spatial("generate", bench.questions, "--model", server.model, "--out", out).expect(1, 2, within=60)
    left = {path.name for path in bench.folder.iterdir() if not path.name.startswith(".")} - before - {"out.jsonl"}
    need(not left, f"left behind: {left}")
    return f"exit {end.code}: {end.error[:150]}"


@contextmanager
def _disk(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _ended(name: str, bench: Bench, disk: Path) -> str:
    with Server(handler=healthy) as server:
        end = bench.spatial(*command(name, bench, disk, server.model)).expect(0, 1, 2)
    need(end.code != 0 or any(disk.iterdir()), "exit 0 without a file")
    parts = [path.name for path in disk.rglob("*") if ".part" in path.name and not path.name.startswith(".")]
    need(not parts, f"left behind: {parts}")
    return f"exit {end.code}: {end.error[:150]}" if end.code else "done"


def _nodes(name: str, bench: Bench) -> str:
    with _disk(bench.folder / "disk", "size=64m,nr_inodes=5") as disk:
        return _ended(name, bench, disk)


def _small(name: str, bench: Bench) -> str:
    with small_disk(bench.folder / "disk", 120) as disk:
        return _ended(name, bench, disk)


def _read_only(name: str, bench: Bench) -> str:
    with _disk(bench.folder / "disk", "size=1m,ro") as disk:
        came = _ended(name, bench, disk)
    need(came != "done", "written to a read-only disk")
    return came


def _nobody(bench: Bench) -> str:
    with Server(handler=healthy) as server:
        given = ("--model", server.model, "--out", bench.folder / "out.jsonl")
        end = bench.spatial("generate", bench.questions, *given, before=partial(os.umask, 0o777)).expect(0, 1, 2)
    return f"exit {end.code}: {end.error[:150]}" if end.code else "done"


def _link(bench: Bench) -> str:
    (bench.folder / "elsewhere").mkdir()
    target, link = bench.folder / "elsewhere" / "real.jsonl", bench.folder / "out.jsonl"
    target.write_text("")
    link.symlink_to(target)
    with Server(handler=healthy) as server:
        end = bench.spatial("generate", bench.questions, "--model", server.model, "--out", link).expect(0, 1, 2)
    need(end.code != 0 or link.read_bytes().count(b"\n") == 4, "no answers behind the link")
    return (
        f"exit {end.code}: {end.error[:150]}"
        if end.code
        else f"done; the link is {'one' if link.is_symlink() else 'a file now'}"
    )
