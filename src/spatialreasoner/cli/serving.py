"""`transformers serve` for models with region tokens: `python -m spatialreasoner.cli.serving MODEL --port 8000`.

MODEL is `nano` or a folder; requests name it as it is named here. The rest, options too, is the server of transformers, which
finds this package's classes once they are imported. Clients send regions inside of the image, as `scenes.carry.png_info` writes
them into a PNG. What a model is given to continue is what it was trained to continue (`vlm.rendering`); it thinks where a
request's `chat_template_kwargs` say `{"enable_thinking": true}`, or `--reasoning on` says so for all.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import wraps
from typing import Any

from transformers import PreTrainedTokenizerBase, ProcessorMixin
from transformers.cli.serving.utils import BaseHandler
from transformers.cli.transformers import app

from spatialreasoner.core.progress import say
from spatialreasoner.nano import registered  # pyright: ignore[reportUnusedImport]  # noqa: F401 - registers its classes
from spatialreasoner.vlm import region_families  # pyright: ignore[reportUnusedImport]  # noqa: F401 - registers its classes
from spatialreasoner.vlm.rendering import chat_template_of
from spatialreasoner.vlm.sources import source_of

_OPENING = "spatialreasoner_opening"


def main(arguments: Sequence[str]) -> None:
    """Serve.

    Args:
        arguments: Those of `transformers serve`, the model first.
    """
    model = [source_of(each) for each in arguments[:1]]
    for asked, source in zip(arguments, model, strict=False):
        if asked != source and not asked.startswith("-"):  # the server refuses other names than the one it was given
            say(f"requests name the model {source}: spatialreasoner generate ... --model api:{source}@http://HOST:PORT/v1")
    open_as_trained()
    answer_to(dict(zip(arguments, model, strict=False)))
    app(["serve", *model, *arguments[1:]])


def open_as_trained() -> None:
    """Have processors and tokenizers begin answers in this process as training does."""
    for owner in (ProcessorMixin, PreTrainedTokenizerBase):
        owner.apply_chat_template = _opening_as_trained(owner.apply_chat_template)


def answer_to(names: Mapping[str, str]) -> None:
    """Have the server in this process answer requests for a model by other names.

    Args:
        names: What transformers loads, by the name that stands for it, such as `nano`.
    """
    resolve: Any = BaseHandler._resolve_model  # pyright: ignore[reportPrivateUsage]

    @wraps(resolve)
    def resolve_named(self: Any, body: dict[str, Any]) -> Any:
        body["model"] = names.get(str(body.get("model")), body.get("model"))
        return resolve(self, body)

    BaseHandler._resolve_model = resolve_named  # pyright: ignore[reportPrivateUsage]


def _opening_as_trained(apply: Any) -> Any:
    @wraps(apply)
    def opening_as_trained(self: Any, conversation: Any, chat_template: str | None = None, **options: Any) -> Any:
        ours = options.get("tokenize") and options.get("add_generation_prompt") and not (options.get("tools") or chat_template)
        if not ours:
            return apply(self, conversation, chat_template=chat_template, **options)
        thinking = bool(options.get("enable_thinking", False))
        options[_OPENING] = chat_template_of(self, thinking=thinking).frame(conversation).opening
        return apply(self, conversation, chat_template=f"{{{{ {_OPENING} }}}}", **options)

    return opening_as_trained


if __name__ == "__main__":
    main(sys.argv[1:])
