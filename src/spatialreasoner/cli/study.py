"""`spatialreasoner study`, which is no longer a command: it says where the study went."""

from __future__ import annotations

from spatialreasoner.core.errors import ConfigError

OPTIONS = {"hidden": True, "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True}}


def study() -> None:
    """Moved: `python -m research.fdpo_study` in a checkout."""
    raise ConfigError("the study is not part of the package; in a checkout, run `python -m research.fdpo_study --out DIR`")
