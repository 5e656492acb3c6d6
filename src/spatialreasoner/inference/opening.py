"""Backends opened by name: what the entry points of the group `spatialreasoner.policies` lead to."""

from __future__ import annotations

from collections.abc import Mapping

from spatialreasoner.core.garbage import no_collection
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Scene
from spatialreasoner.inference.registry import WritingConfig


def open_hf(name: str, scenes: Mapping[str, Scene], writing: WritingConfig) -> Policy:
    """A model of transformers in this process: `nano`, a folder, or `hf:REPO_OR_DIR`."""
    with no_collection():  # imports make objects by the hundred thousand and no garbage; looking for it is an eighth of a start
        from spatialreasoner.inference.backends.hf import HfPolicy

        return HfPolicy(
            name,
            temperature=writing.temperature,
            max_new_tokens=writing.max_new_tokens,
            batch_size=writing.batch_size,
            enable_thinking=bool(writing.enable_thinking),
        )


def open_api(name: str, scenes: Mapping[str, Scene], writing: WritingConfig) -> Policy:
    """A model at an OpenAI-compatible endpoint: `api:MODEL@BASE_URL`."""
    from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy

    config = ApiConfig(
        temperature=writing.temperature,
        max_tokens=writing.max_new_tokens,
        top_p=writing.top_p,
        reasoning_effort=writing.reasoning_effort,
        enable_thinking=writing.enable_thinking,
        timeout=min(300.0, writing.timeout),
        key_variable=writing.key_variable,
        prefill=writing.prefill,
    )
    return ApiPolicy(name, config)
