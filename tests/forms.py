"""YAML, JSON and TOML of documentation pages and examples, read by what the project itself reads them with."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from research.fdpo_study.config import StudyConfig

from spatialreasoner.core import records
from spatialreasoner.core.types import Question, Scene, Trajectory
from spatialreasoner.evaluation.predictions import Prediction
from spatialreasoner.inference.names import read_endpoints
from spatialreasoner.pipeline.scoring import ResponseRow
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
from spatialreasoner.scenes.rgbd import SceneFile
from spatialreasoner.training.config import CONFIGS, read_config
from spatialreasoner.training.data import PreferenceRow, SftRow

RECORDS: Mapping[frozenset[str], Any] = {
    frozenset({"image", "depth", "depth_units_per_metre", "intrinsics"}): SceneFile,
    frozenset({"id", "image", "regions"}): Scene,
    frozenset({"id", "scene_id", "category", "text"}): Question,
    frozenset({"question_id", "pred", "gt"}): Prediction,
    frozenset({"question_id", "policies", "reward", "text"}): Trajectory,
    frozenset({"images", "prompt", "chosen", "rejected"}): PreferenceRow,
    frozenset({"images", "messages"}): SftRow,
    frozenset({"question_id", "text"}): ResponseRow,
}
"""Records by keys that tell them apart; the first whose keys are all there is meant."""


def check_json(text: str, folder: Path) -> None:
    """A JSON document, or JSON lines: every row a record of the project.

    Raises:
        AssertionError: If a row is of no known form.
        RecordError: If it is, but breaks it.
    """
    try:
        rows = [json.loads(text)]
    except ValueError:
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    for row in rows:
        if row.keys() >= {"images", "annotations"}:
            path = folder / "coco.json"
            path.write_text(json.dumps(row))
            AnnotatedRegions(path)
            continue
        kind = next((kind for keys, kind in RECORDS.items() if keys <= row.keys()), None)
        assert kind is not None, f"a row of no form that tests/forms.py knows: {sorted(row)}"
        records.parse_record(json.dumps(row), kind, where="block")


def check_yaml(text: str, folder: Path) -> None:
    """A file of settings: of training, of the study, of accelerate, or of a Ray cluster.

    Raises:
        AssertionError: If it is none of these, or of a cluster and wrong.
        ConfigError: If it has keys or values that its reader refuses.
    """
    values = yaml.safe_load(text)
    path = folder / "block.yaml"
    path.write_text(text)
    if "cluster_name" in values:
        check_cluster(values)
    elif "compute_environment" in values:
        from accelerate.commands.config.config_args import load_config_from_file

        load_config_from_file(str(path))
    elif all(isinstance(value, dict) and {"model", "url"} <= value.keys() for value in values.values()):
        read_endpoints(path)
    elif values.keys() & {each.name for each in fields(StudyConfig)} - {each.name for each in fields(CONFIGS["fdpo"])}:
        read_config(StudyConfig, path, [])
    else:
        for kind in training_kinds(values):
            read_config(CONFIGS[kind], path, [])


def training_kinds(values: Mapping[str, Any]) -> list[str]:
    """The kinds of training whose settings these are; those of fDPO, with its refusal, where they are nobody's.

    GRPO's batches hold several completions of each question, so files that do not name that number are not meant for it.
    """
    kinds = [kind for kind in CONFIGS if kind != "grpo" or "num_generations" in values]
    return [kind for kind in kinds if values.keys() <= {each.name for each in fields(CONFIGS[kind])}] or ["fdpo"]


CLUSTER_KEYS = {
    "cluster_name", "max_workers", "upscaling_speed", "idle_timeout_minutes", "docker", "provider", "auth",
    "available_node_types", "head_node_type", "file_mounts", "cluster_synced_files", "file_mounts_sync_continuously",
    "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands", "head_setup_commands",
    "worker_setup_commands", "no_restart", "head_start_ray_commands", "worker_start_ray_commands",
}  # fmt: skip
"""Keys of a Ray cluster launcher's file (docs.ray.io, "Cluster YAML Configuration Options"; those of Ray's own schema)."""

NODE_KEYS = {"resources", "node_config", "min_workers", "max_workers", "docker", "worker_setup_commands", "labels"}


def check_cluster(values: Mapping[str, Any]) -> None:
    """A file of Ray's cluster launcher: by its documented fields, and by Ray itself where it is installed.

    Raises:
        AssertionError: If a key is unknown or missing, or numbers of machines do not fit together.
    """
    _check_fields(values)
    with contextlib.suppress(ModuleNotFoundError):
        from ray.autoscaler._private.util import prepare_config, validate_config  # pyright: ignore[reportMissingImports]

        validate_config(prepare_config(dict(values)))


def _check_fields(values: Mapping[str, Any]) -> None:
    assert values.keys() <= CLUSTER_KEYS, f"unknown keys: {sorted(values.keys() - CLUSTER_KEYS)}"
    provider, auth = values["provider"], values["auth"]
    assert provider["type"] in {"local", "aws", "gcp", "azure"}, f"unknown provider {provider['type']!r}"
    assert "ssh_user" in auth, "auth needs ssh_user"
    for commands in (key for key in values if key.endswith("_commands")):
        assert all(isinstance(command, str) for command in values[commands]), f"{commands} must be texts"
    if provider["type"] == "local":
        assert {"head_ip", "worker_ips"} <= provider.keys(), "a local provider needs head_ip and worker_ips"
        assert values.get("max_workers", 0) <= len(provider["worker_ips"]), "more workers than addresses"
        return
    types = values["available_node_types"]
    assert values["head_node_type"] in types, f"head_node_type is none of {sorted(types)}"
    for name, node in types.items():
        assert node.keys() <= NODE_KEYS, f"{name}: unknown keys {sorted(node.keys() - NODE_KEYS)}"
        assert node.get("min_workers", 0) <= node.get("max_workers", values["max_workers"]), (
            f"{name}: more at least than at most"
        )


def check_toml(text: str, folder: Path) -> None:
    """A table of names (`language.vocabulary`)."""
    from spatialreasoner.language import vocabulary

    tomllib.loads(text)
    path = folder / "names.toml"
    path.write_text(text)
    vocabulary.load_vocabulary(path)


CHECKS: Mapping[str, Callable[[str, Path], None]] = {
    "json": check_json, "jsonl": check_json, "yaml": check_yaml, "yml": check_yaml, "toml": check_toml,
}  # fmt: skip
"""How a block of a language is read."""
