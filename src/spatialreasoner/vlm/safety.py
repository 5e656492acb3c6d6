"""Loading by transformers with safetensors alone, no remote code and no pickle; whatever fails is told in words."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, SpatialReasonerError
from spatialreasoner.vlm.declared import within_weights
from spatialreasoner.vlm.processors import missing_library, refuse_large_images
from spatialreasoner.vlm.sources import shipped_template
from spatialreasoner.vlm.template_limits import check_templates

LONGEST_REASON = 500
"""Characters of what a library says of a model that it cannot load; some list every model that they know."""

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_STATES = ("optimizer.", "scheduler.", "rng_state", "scaler.")


def refuse_pickles(folder: str | Path) -> None:
    """Refuse a model or checkpoint that could only be read by unpickling, which runs whatever code is inside.

    Raises:
        ConfigError: If the folder holds pickled training states, or pickled weights and no safetensors; or a pipe or a device,
            whose reading may never end.
    """
    others = sorted(path.name for path in Path(folder).iterdir() if path.exists() and not path.is_file() and not path.is_dir())
    if others:
        raise ConfigError(f"{folder} holds {others[0]!r}, which is no file but a pipe or a device; copy the model again")
    names = sorted(path.name for path in Path(folder).iterdir() if path.suffix in PICKLES)
    states = [name for name in names if name.startswith(_STATES)]
    weights = [name for name in names if name != "training_args.bin"]  # left by other trainers, never read
    if states or (weights and not any(Path(folder).glob("*.safetensors"))):
        raise ConfigError(
            f"{folder} holds {(states or weights)[0]!r}, a pickle: reading one can run any code, so it is refused. "
            "Convert weights to safetensors (model.save_pretrained does); resume from checkpoints of this program"
        )


def refuse_strays(folder: Path) -> None:
    """Refuse weights whose index leads to other files than safetensors beside it, or to some that are not there.

    Raises:
        ConfigError: If it does.
    """
    for index in folder.glob("*.safetensors.index.json"):
        listed = records.read_json(index, dict[str, Any])
        weights = listed.get("weight_map")
        names: list[object] = list(weights.values()) if isinstance(weights, dict) else [weights]
        for name in names:
            if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
                raise ConfigError(f"{index}: expected names of safetensors files of its folder; got {str(name)[:80]!r}")
        if (folder / index.name.removesuffix(".index.json")).exists():  # which is read instead
            continue
        absent = sorted({str(name) for name in names if not (folder / str(name)).is_file()})
        if absent:
            raise ConfigError(f"{index}: expected all files of its weights; {absent[0]} is not there; copy the folder again")
        if not names or not isinstance(listed.get("metadata"), dict):
            raise ConfigError(f"{index}: expected `metadata`, and in `weight_map` the file of each weight; copy it again")


def refuse_unsafe(source: str | Path) -> None:
    """Refuse a folder of a model that could only be read by unpickling, or whose weights lead elsewhere.

    Raises:
        ConfigError: If it is one; a repository has no files yet to look at.
    """
    if Path(source).is_dir():
        refuse_pickles(source)
        refuse_strays(Path(source))


def load_with(
    auto: Any, read: Callable[[str | Path], Any], source: str | Path, *, precision: str, **options: Any
) -> tuple[Any, Any]:
    """Load a model and, before it, its processor, whose chat template is checked.

    Args:
        auto: A class of transformers that finds the model's own.
        read: Loads its processor or tokenizer.
        source: A folder that `refuse_unsafe` let pass, or the name of a repository on the Hub.
        precision: As in `load_vlm`.
        options: Further arguments of the model's `from_pretrained`.

    Raises:
        ConfigError: If anything of it cannot be loaded, or a chat template exceeds the limits of `template_limits`.
        MissingExtraError: If a library is not installed that it needs.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    dtype = precision if precision == "auto" else getattr(torch, precision)
    with telling_of(source), within_weights(source):
        processor = read(source)
        check_processor(processor, source)
        model = auto.from_pretrained(source, dtype=dtype, use_safetensors=True, trust_remote_code=False, **options)
        return model, processor


def check_processor(processor: Any, source: str | Path) -> None:
    """Look at the sizes of images, and try the chat templates of a processor, or of a tokenizer; a shipped model's is known.

    Raises:
        ConfigError: If one exceeds the limits of `template_limits`, or images are made large.
    """
    refuse_large_images(processor, source)
    own = getattr(processor, "chat_template", None)
    templates = own or getattr(getattr(processor, "tokenizer", None), "chat_template", None)
    if templates != shipped_template(source):
        check_templates(templates, source)


@contextmanager
def telling_of(source: str | Path) -> Generator[None]:
    """Report a model that cannot be loaded, whatever the reason.

    Raises:
        ConfigError: Instead of any error that is not of this package.
        MissingExtraError: If a library is not installed that it needs.
    """
    try:
        yield
    except SpatialReasonerError:
        raise
    except ImportError as error:
        raise missing_library(source, error) from error
    except Exception as error:  # of broken files transformers, tokenizers and safetensors raise errors of any class
        said = " ".join(str(error).split())[:LONGEST_REASON]
        raise ConfigError(f"cannot load a vision-language model from {str(source)!r}: {said}") from error
