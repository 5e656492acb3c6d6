"""Where a named model is, what its folder says of itself, and whether it is one that ships with a package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.adapters import ADAPTER_FILE, base_of
from spatialreasoner.vlm.shipped import ShippedModel, shipped_models


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


def config_of(source: str | Path) -> Mapping[str, Any]:
    """The configuration of a model's folder, or of an adapter's base; empty for a repository, and where none can be read."""
    try:
        folder = base_of(source) if (Path(source) / ADAPTER_FILE).is_file() else source
        path = Path(folder) / "config.json"
        found = json.loads(path.read_text("utf-8")) if path.is_file() else {}  # reading a pipe would not end
    except (OSError, ValueError, RecursionError, ConfigError):
        return {}
    return found if isinstance(found, dict) else {}


def shipped_as(source: str | Path) -> ShippedModel | None:
    """The model shipped with a package of whose family a folder is, perhaps trained further; or None."""
    kind = config_of(source).get("model_type")
    return next((shipped for shipped in shipped_models().values() if shipped.model_type == kind), None)


def shipped_template(source: str | Path) -> str | None:
    """The chat template of the shipped model of whose family a folder is; None if it is of none, or its files are absent."""
    shipped = shipped_as(source)
    path = None if shipped is None else shipped.folder / "chat_template.jinja"
    return path.read_text("utf-8") if path is not None and path.is_file() else None


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
