"""Renders the chat template on standard input in two short conversations and two long ones, with limits; prints what is wrong.

Run as a program by `template_limits`; it imports nothing of this package, since it has to start fast. The environment is
the one that transformers documents for chat templates: an immutable sandbox with `raise_exception`, `strftime_now`, `tojson`,
loop controls and the block `generation`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

_INCLUDING = (jinja2.nodes.Include, jinja2.nodes.Import, jinja2.nodes.FromImport, jinja2.nodes.Extends)

MOST_EXPONENT = 64

QUESTION = "Which is wider?"

LONG_QUESTION = QUESTION * 1300
"""About as long as a question of a file may be."""

_TURNS = 32
"""Questions of a long conversation."""


class _Generation(jinja2.ext.Extension):
    """The block that marks what the model says; here it is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> Any:
        """Read the block's body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def problem_of(template: str, longest: int) -> str | None:
    """What is wrong with a template; None if nothing is, or nothing that a trial can tell.

    Args:
        template: Its text.
        longest: Characters that it may make of a short conversation.
    """
    environment: Any = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals.update(raise_exception=_refuse, strftime_now=_now)
    try:
        tree = environment.parse(template)
        if any(tree.find(kind) for kind in _INCLUDING):
            return "includes another file, which chat templates cannot do"
        if (problem := _too_much(tree, longest)) is not None:
            return problem
        compiled = environment.from_string(template)
        for turns, text in ((1, QUESTION), (_TURNS, LONG_QUESTION)):
            for content in (text, [{"type": "image"}, {"type": "text", "text": text}]):
                if (problem := _tried(compiled, content, turns, longest)) is not None:
                    return problem
    except jinja2.TemplateSyntaxError as error:
        return f"is not a Jinja template: {error.message} (line {error.lineno})"
    except (MemoryError, OverflowError, RecursionError) as error:
        return f"asks for too much: {type(error).__name__}: {str(error)[:200]}"
    return None


def _too_much(tree: Any, longest: int) -> str | None:
    """What a template asks for by constants alone, in branches that no short conversation reaches, too."""
    for product in tree.find_all(jinja2.nodes.Mul):
        sides = [_constant(side) for side in (product.left, product.right)]
        times = max((abs(side) for side in sides if isinstance(side, int)), default=0)
        if times * max((len(side) for side in sides if isinstance(side, str | list | tuple)), default=1) > longest:
            return f"multiplies by {times}, to more than {longest}"
    for power in tree.find_all(jinja2.nodes.Pow):
        if isinstance(exponent := _constant(power.right), int) and exponent > MOST_EXPONENT:
            return f"raises to the power {exponent}; expected at most {MOST_EXPONENT}"
    return f"counts further than {longest} in loops" if _rounds(tree) > longest else None


def _constant(node: Any) -> Any:
    with contextlib.suppress(jinja2.nodes.Impossible):
        return node.as_const()
    return None


def _rounds(node: Any) -> int:
    """How often the innermost of nested loops over constant ranges would run."""
    own = 1
    if (
        isinstance(node, jinja2.nodes.For)
        and isinstance(node.iter, jinja2.nodes.Call)
        and getattr(node.iter.node, "name", "") == "range"
    ):
        own = max([abs(end) for end in map(_constant, node.iter.args) if isinstance(end, int)], default=1)
    return max(own, 1) * max(map(_rounds, node.iter_child_nodes()), default=1)


def _tried(template: jinja2.Template, content: Any, turns: int, longest: int) -> str | None:
    messages = [{"role": "user", "content": content}]
    for _ in range(1, turns):
        messages += [{"role": "assistant", "content": QUESTION}, {"role": "user", "content": QUESTION}]
    made = 0
    with contextlib.suppress(jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError):
        try:
            for piece in template.generate(messages=messages, add_generation_prompt=True, bos_token="", eos_token=""):
                made += len(piece)
                if made > longest:
                    return f"makes more than {longest} characters of a {'short' if turns == 1 else 'long'} conversation"
        except SecurityError as error:
            return f"reaches for what a template may not: {str(error)[:200]}"
    return None


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def main() -> None:
    """Set the limits, read the template, print the problem as JSON."""
    seconds, megabytes, longest = map(int, sys.argv[1:])
    with contextlib.suppress(ImportError):  # there is none on Windows, where the time alone is limited, by the caller
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20, megabytes * 2**20))
    json.dump(problem_of(json.load(sys.stdin), longest), sys.stdout)


if __name__ == "__main__":
    main()
