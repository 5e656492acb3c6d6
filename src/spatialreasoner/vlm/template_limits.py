"""A model's chat template is untrusted code: it is tried in a separate process, with limits, before it is used.

transformers renders templates in Jinja's sandbox, which keeps them from the machine, but not from rendering for ever or
filling memory. A trial of short and long conversations shows both, and says what else no rendering could do, such as
including another file. A template that does well there and not later is stopped by a deadline (`vlm.rendering`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from spatialreasoner.core.errors import ConfigError

CPU_SECONDS = 3
"""Of processor time that a trial may take; templates of public models take milliseconds."""

WALL_SECONDS = 60
"""Of wall time, seconds: on a busy machine a trial waits."""

MEGABYTES = 512
"""What a trial may take of memory, the interpreter included."""

MAX_RENDERED = 1_000_000
"""Of a template, and of what it makes of a short conversation."""

_TRIAL = Path(__file__).with_name("template_trial.py")


def check_templates(templates: str | Mapping[str, str] | None, source: str | Path) -> None:
    """Try a model's chat templates with limits on time, memory and length.

    A template that raises an error of its own (it may not like the conversation) passes: whoever renders it reports it.

    Args:
        templates: The template, or several by name, as processors and tokenizers hold them.
        source: What to call the model in an error.

    Raises:
        ConfigError: If a template is not one, reaches for what the sandbox refuses, or exceeds a limit.
    """
    named = {"": templates} if isinstance(templates, str) else templates or {}
    for name, template in named.items():
        try:
            _try(template)
        except ConfigError as problem:
            which = f"the chat template {name!r}" if name else "the chat template"
            raise ConfigError(
                f"{which} of {str(source)!r} {problem}. Compare it with the one that the model's authors publish"
            ) from None


@lru_cache(maxsize=64)
def _try(template: str) -> None:
    """Raise what is wrong with a template; one that passed once is not tried again in this process."""
    if len(template) > MAX_RENDERED:
        raise ConfigError(f"has {len(template)} characters; expected at most {MAX_RENDERED}")
    command = [sys.executable, "-I", str(_TRIAL), str(CPU_SECONDS), str(MEGABYTES), str(MAX_RENDERED)]
    try:
        tried = subprocess.run(
            command, input=json.dumps(template), capture_output=True, text=True, timeout=WALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"did not finish a few conversations in {WALL_SECONDS} s") from None
    if tried.returncode < 0:  # ended by a signal: the limit on processor time sends one
        raise ConfigError(f"did not finish a few conversations in {CPU_SECONDS} s of processor time")
    if not tried.stdout.strip():
        raise ConfigError(f"could not be tried: {tried.stderr.strip()[-300:]}")
    if (problem := json.loads(tried.stdout)) is not None:
        raise ConfigError(problem)
