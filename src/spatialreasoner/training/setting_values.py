"""Values of settings as people write them: YAML files, ``key=value``, names between commas, regular expressions."""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError

MAX_SETTINGS_BYTES = 2**20
"""A larger file of settings is refused."""

_LISTS = ("segments", "gap_columns")
_LITERAL = ("segment_pattern",)


def read_values(file: Path) -> dict[str, Any]:
    """The settings of a YAML file.

    Raises:
        ConfigError: If it is too large, or not a mapping of settings.
        MissingFileError: If it does not exist.
    """
    return {
        key: _names(value) if key in _LISTS else value
        for key, value in _mapping(_yaml(_bounded(file), str(file)), str(file)).items()
    }


def key_and_value(override: str) -> tuple[str, Any]:
    """A setting of the form ``key=value``, the value as in YAML.

    Raises:
        ConfigError: If it has no such form.
    """
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"expected key=value; got {override[:80]!r}")
    if key.strip() in _LISTS:
        return key.strip(), _names(_yaml(text, override))
    if key.strip() in _LITERAL:  # what is a regular expression may be something else to YAML
        return key.strip(), json.loads(text) if text.startswith('"') and text.endswith('"') else text
    return key.strip(), _number(_yaml(text, override))


def _names(value: Any) -> Any:
    """Names that are given as `a,b`."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def in_brief(value: object) -> str:
    """A value, shortened: YAML anchors can make it arbitrarily large, and a number may have too many digits."""
    shown = reprlib.Repr()
    shown.maxlevel = 2
    try:
        return shown.repr(value)
    except ValueError:
        return "a number of thousands of digits"


def _bounded(file: Path) -> bytes:
    size = records.require_file(file).stat().st_size
    if size > MAX_SETTINGS_BYTES:
        raise ConfigError(f"{file}: expected settings of at most {MAX_SETTINGS_BYTES} bytes; got {size}")
    return file.read_bytes()


def _yaml(text: str | bytes, where: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a number or a date that cannot be one
        raise ConfigError(f"{where[:200]}: not YAML: {' '.join(str(error).split())}") from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{where}: expected settings, one `key: value` per line; got {in_brief(value)}")
    return value


def _number(value: Any) -> Any:
    """A number such as 1e-3, which YAML 1.1 reads as text, or the value as it is."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
