"""Loading released vision-language models: safetensors alone, no remote code, no pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, SpatialReasonerError
from spatialreasoner.vlm.adapters import ADAPTER_FILE, adapter_folder, base_of, load_adapter
from spatialreasoner.vlm.processors import load_processor, missing_library
from spatialreasoner.vlm.sa2va import SA2VA
from spatialreasoner.vlm.shipped import ShippedModel, shipped_models
from spatialreasoner.vlm.template_limits import check_templates

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

LONGEST_REASON = 500
"""Characters of what a library says of a model that it cannot load; some list every model that they know."""

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_STATES = ("optimizer.", "scheduler.", "rng_state", "scaler.")


def source_of(name: str | Path) -> str:
    """What transformers loads for a name on the command line: `nano` is a folder of this package, `hf:` is left out.

    Raises:
        ConfigError: If the weights of a model that should ship with a package are not installed.
    """
    shipped = shipped_models().get(str(name))
    if shipped is None:
        return str(name).removeprefix("hf:")
    if not (shipped.folder / "model.safetensors").is_file():
        raise ConfigError(
            f"the weights of {shipped.name!r} are not in this installation; make them with `{shipped.remake}` in a checkout "
            "and name that folder as the model, or name another model"
        )
    return str(shipped.folder)


def name_of(source: str | Path) -> str:
    """A model's name in records: the name of one that ships with a package, else `hf:` and its source."""
    return str(source) if str(source) in shipped_models() else f"hf:{source_of(source)}"


def refuse_pickles(folder: str | Path) -> None:
    """Refuse a model or checkpoint that could only be read by unpickling, which runs whatever code is inside.

    Raises:
        ConfigError: If the folder holds pickled training states, or pickled weights and no safetensors.
    """
    names = sorted(path.name for path in Path(folder).iterdir() if path.suffix in PICKLES)
    states = [name for name in names if name.startswith(_STATES)]
    weights = [name for name in names if name != "training_args.bin"]  # left by other trainers, never read
    if states or (weights and not any(Path(folder).glob("*.safetensors"))):
        raise ConfigError(
            f"{folder} holds {(states or weights)[0]!r}, a pickle: reading one can run any code, so it is refused. "
            "Convert weights to safetensors (model.save_pretrained does); resume from checkpoints of this program"
        )


def refuse_strays(folder: Path) -> None:
    """Refuse weights whose index leads to other files than safetensors beside it.

    Raises:
        ConfigError: If it does.
    """
    for index in folder.glob("*.safetensors.index.json"):
        weights = records.read_json(index, dict[str, Any]).get("weight_map")
        names: list[object] = list(weights.values()) if isinstance(weights, dict) else [weights]
        for name in names:
            if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
                raise ConfigError(f"{index}: expected names of safetensors files of its folder; got {str(name)[:80]!r}")


def refuse_unsafe(source: str | Path) -> None:
    """Refuse a folder of a model that could only be read by unpickling, or whose weights lead elsewhere.

    Raises:
        ConfigError: If it is one; a repository has no files yet to look at.
    """
    if Path(source).is_dir():
        refuse_pickles(source)
        refuse_strays(Path(source))


def load_vlm(source: str | Path, *, precision: str = "float32", **options: Any) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Load a vision-language model and its processor.

    A released Sa2VA model is converted in memory, and an adapter is merged into the base that it names.

    Args:
        source: A folder, or the name of a repository on the Hub.
        precision: `float32`, `bfloat16`, or `auto`: as saved.
        options: Further arguments of the model's `from_pretrained`.

    Raises:
        ConfigError: If the model does not exist, it could only be read by unpickling or by running its code, it was trained
            from another version's shipped model (`refuse_other_version`), or its chat template exceeds the limits of
            `template_limits`.
        MissingExtraError: If its processor needs a library that is not installed.
    """
    from transformers import AutoModelForImageTextToText

    if adapter_folder(source) is not None:
        merged: Any = load_adapter(source, precision=precision, **options)
        return merged
    refuse_unsafe(source)
    refuse_other_version(source)
    _know_classes(source)
    if config_of(source).get("model_type") == SA2VA:
        from spatialreasoner.vlm.sa2va.convert import load_sa2va

        return load_sa2va(source, precision=precision, **options)
    return load_with(AutoModelForImageTextToText, load_processor, source, precision=precision, **options)


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
    with telling_of(source):
        processor = read(source)
        if shipped_as(source) is None:
            check_processor(processor, source)
        model = auto.from_pretrained(source, dtype=dtype, use_safetensors=True, trust_remote_code=False, **options)
        return model, processor


def check_processor(processor: Any, source: str | Path) -> None:
    """Try the chat templates of a processor, or of a tokenizer.

    Raises:
        ConfigError: If one exceeds the limits of `template_limits`.
    """
    own = getattr(processor, "chat_template", None)
    check_templates(own or getattr(getattr(processor, "tokenizer", None), "chat_template", None), source)


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


def config_of(source: str | Path) -> Mapping[str, Any]:
    """The configuration of a model's folder, or of an adapter's base; empty for a repository, and where none can be read."""
    try:
        folder = base_of(source) if (Path(source) / ADAPTER_FILE).is_file() else source
        found = json.loads((Path(folder) / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError, ConfigError):
        return {}
    return found if isinstance(found, dict) else {}


def shipped_as(source: str | Path) -> ShippedModel | None:
    """The model shipped with a package of whose family a folder is, perhaps trained further; or None."""
    kind = config_of(source).get("model_type")
    return next((shipped for shipped in shipped_models().values() if shipped.model_type == kind), None)


def refuse_other_version(source: str | Path) -> None:
    """Refuse a folder that was trained from another version of a shipped model.

    Raises:
        ConfigError: If its `architecture_version` is not that of the model that is installed.
    """
    shipped, found = shipped_as(source), config_of(source).get("architecture_version", 1)
    if shipped is not None and found != shipped.architecture_version:
        raise ConfigError(
            f"{source} holds a model that was trained from the {shipped.name!r} of another version of the package "
            f"(architecture {found}; this one has {shipped.architecture_version}); train it again from the {shipped.name!r} of "
            "this installation, or use it with the version that made it"
        )


def _know_classes(source: str | Path) -> None:
    """Register the classes that a model needs; of a shipped model, which people wait for, its own alone."""
    shipped = shipped_as(source)
    if shipped is not None:
        shipped.register()
        return
    from spatialreasoner.vlm import region_families  # pyright: ignore[reportUnusedImport]  # noqa: F401
