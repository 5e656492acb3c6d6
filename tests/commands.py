"""Shell commands of documentation pages: told apart, and held against what they call without running it."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from typing import Any

from pages import ROOT
from spatialreasoner.cli import app
from spatialreasoner.cli.running import command_of
from spatialreasoner.teachers import PROFILES
from spatialreasoner.testing.names import tiny_named
from spatialreasoner.testing.tiny_models import FAMILIES
from spatialreasoner.training.config import CONFIGS, read_config

Words = Sequence[str]

_SEPARATORS = {"&&", "||", ";", "|", "&", "(", ")"}
_SHELL = {"cd", "ls", "mkdir", "cp", "mv", "cat", "head", "export", "source", "test", "echo", "curl", "ssh", "rsync", "tmux"}
"""Programs of every system, of which only the syntax is checked."""


def split(script: str) -> list[list[str]]:
    """The simple commands of a script, without redirections, assignments, comments and the words of loops.

    Raises:
        AssertionError: If bash cannot read it.
    """
    read = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    found: list[list[str]] = []
    for line in re.sub(r"\\\n\s*", " ", script).replace("$(which spatialreasoner)", "spatialreasoner").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";<>|&")
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if word in _SEPARATORS:
                found.append(_bare(command))
                command = []
            else:
                command.append(word)
    return [command for command in found if command]


def _bare(command: list[str]) -> list[str]:
    words = command[1:] if command[:1] in (["do"], ["then"], ["nohup"], ["time"]) else command
    if words[:1] in (["for"], ["done"], ["while"], ["if"], ["fi"]):
        return []
    while words and re.fullmatch(r"[A-Z][A-Z0-9_]*=.*", words[0]):
        words = words[1:]
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in {"<", ">", ">>"}:
            skip = True
        else:
            kept.append(word)
    return kept


def check(words: Words) -> None:
    """Hold one command against what it calls.

    Raises:
        AssertionError: If there is no such command, option or argument.
    """
    program = words[0].removeprefix(".venv/bin/")
    if program in _SHELL:
        return
    assert program in CHECKS, f"nobody knows how to check {program!r}: teach tests/commands.py, or leave it out"
    CHECKS[program](words[1:])


def check_ours(words: Words) -> None:
    """Parse a command line of `spatialreasoner` by its own options."""
    if words[-1:] in (["--help"], ["--version"]):
        return
    command = command_of(app)
    context, rest = command.context_class(command, info_name="spatialreasoner"), list(words)
    while hasattr(command, "resolve_command"):
        _, rest, _ = command.make_parser(context).parse_args(rest)  # a group's own options
        name, command, rest = command.resolve_command(context, rest)
        context = command.context_class(command, info_name=name, parent=context)
    context = command.make_context(context.info_name, rest, parent=context.parent)
    for option in ("policies", "model", "models", "judges", "judging", "judge"):
        given = context.params.get(option)
        for model in [given] if isinstance(given, str) else given or ():
            _check_model(model)
    if context.info_name == "train":
        settings = [setting for setting in context.params["settings"] or () if setting != "..."]
        file = context.params["config"]
        own = file is not None and (ROOT / file).is_file()  # else it is the reader's
        read_config(CONFIGS[context.params["kind"]], ROOT / file if own else None, settings)


def _check_model(name: str) -> None:
    kind, colon, rest = name.partition(":")
    if kind == "scripted":
        assert rest in PROFILES, f"there is no simulated teacher {rest!r}"
    elif kind == "api":
        assert re.fullmatch(r"[^@]+@(BASE_URL|https?://[^@\s]+)", rest), f"expected api:MODEL@BASE_URL; got {name!r}"
    elif kind == "testing":
        assert tiny_named(name).family in FAMILIES, f"there is no tiny family {rest!r}"
    else:
        assert not colon or kind == "hf", f"expected nano, tiny, a folder, hf:, scripted:, testing: or api:; got {name!r}"


def check_make(words: Words) -> None:
    """Hold the target and the variables of `make` against the Makefile."""
    dry = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert dry.returncode == 0, dry.stderr


def check_python(words: Words) -> None:
    """A module that is there, or a file of this repository whose parser knows the options given."""
    if words[0] == "-m":
        name = words[1]
        top = name.partition(".")[0]
        if top in _STRANGERS:
            return
        if top == "venv":
            return
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"there is no module {name}"
        if top == "pip":
            check_pip(words[2:])
        elif spec.origin and top == "spatialreasoner":
            _check_options(spec.origin, words[2:])
        return
    if words[0] == "-c":
        compile(words[1], "-c", "exec")
        return
    path = ROOT / words[0]
    assert path.is_file(), f"there is no {words[0]}"
    _check_options(str(path), words[1:])


_STRANGERS = {"lmms_eval", "spatialreasoner_eval"}
"""Modules of programs that live in environments of their own."""


def _check_options(path: str, words: Words) -> None:
    """Hold options against what a file gives to `add_argument`, or its `main` to typer, so that nothing heavy is imported."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    known = {
        argument.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    mains = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == "main")
    known |= {f"--{argument.arg.replace('_', '-')}" for main in mains for argument in main.args.args}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    assert not unknown, f"{path} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}"


def check_pip(words: Words) -> None:
    """Hold the extras of this package against pyproject.toml."""
    assert words[0] in {"install", "uninstall", "download"}, f"expected pip install; got {words[0]}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for word in words:
        own = re.fullmatch(r"(?:spatialreasoner|\.)\[([a-z,]+)\].*", word)
        extras = set(own[1].split(",")) if own else set()
        assert extras <= project["optional-dependencies"].keys(), f"there is no extra among {word}"


def check_accelerate(words: Words) -> None:
    """Parse by accelerate's own parser, and the command that it launches by ours."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    assert words[0] == "launch", f"expected accelerate launch; got {words[0]}"
    arguments = ["0" if word.startswith("$") else word for word in words[1:]]
    parsed = _parsed(lambda: launch_command_parser().parse_args(arguments), words)
    if parsed.config_file:
        load_config_from_file(str(ROOT / parsed.config_file))
    check([parsed.training_script, *parsed.training_script_args])


def _parsed(parse: Callable[[], Any], words: Words) -> Any:
    try:
        return parse()
    except SystemExit as error:
        raise AssertionError(f"{shlex.join(words)}: refused by its own parser") from error


VLLM_SERVE = {
    "--host", "--port", "--api-key", "--served-model-name", "--tensor-parallel-size", "--data-parallel-size",
    "--gpu-memory-utilization", "--max-model-len", "--max-num-seqs", "--limit-mm-per-prompt", "--dtype", "--quantization",
    "--enable-prefix-caching", "--seed", "--revision", "--download-dir", "--generation-config",
}  # fmt: skip
"""Options of `vllm serve` that the pages may use (docs.vllm.ai, vllm 0.11)."""

RAY = {
    "start": {"--head", "--address", "--port", "--node-ip-address", "--num-cpus", "--num-gpus", "--block",
              "--dashboard-host"},
    "stop": set(), "status": {"--address"},
    "up": {"-y", "--yes", "--no-config-cache"}, "down": {"-y", "--yes"}, "attach": set(),
    "exec": {"--tmux", "--screen", "--stop"}, "submit": set(), "rsync-up": set(), "rsync-down": set(), "dashboard": set(),
    "get-head-ip": set(), "get-auth-token": {"--generate"},
}  # fmt: skip
"""Commands of Ray and their options that the pages may use (docs.ray.io, ray 2.52), where Ray is not installed."""


def check_vllm(words: Words) -> None:
    """`vllm serve MODEL` with options that the pages may use."""
    assert words[0] == "serve", f"expected vllm serve; got {words[0]}"
    assert len(words) > 1, "expected vllm serve MODEL"
    assert not words[1].startswith("-"), f"expected vllm serve MODEL first; got {words[1]}"
    _check_known(words[2:], VLLM_SERVE)


def check_ray(words: Words) -> None:
    """A command of Ray: by its own parser where it is installed, else by the list above."""
    spec = importlib.util.find_spec("ray")
    if spec is None or spec.origin is None:
        assert words[0] in RAY, f"expected a command of ray among {', '.join(RAY)}; got {words[0]}"
        _check_known(words[1:], RAY[words[0]])
        return
    from ray.scripts.scripts import cli  # pyright: ignore[reportMissingImports]

    cli.commands[words[0]].make_context(words[0], list(words[1:]))


def _check_known(words: Words, known: set[str]) -> None:
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
    assert not unknown, f"options that tests/commands.py does not know: {', '.join(unknown)}"


def check_git(words: Words) -> None:
    """Of git only what a newcomer needs."""
    assert words[0] in {"clone", "pull"}, f"expected git clone; got {words[0]}"


CHECKS: dict[str, Callable[[Words], None]] = {
    "spatialreasoner": check_ours,
    "make": check_make,
    "python": check_python,
    "python3": check_python,
    "pip": check_pip,
    "accelerate": check_accelerate,
    "vllm": check_vllm,
    "ray": check_ray,
    "git": check_git,
}
"""How the commands of a program are checked."""
