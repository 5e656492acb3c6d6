"""What the outputs of a run rest on, kept in its journal: a run is not continued on other ground without a word.

Each thing (a model, a scene, a question) has a name and parts, each with a digest. Things may come and go, as may settings of
a run that share replies; but what a name stood for when replies were paid for, it must stand for when the run continues. The
keys of replies would tell, too, that a model's file or an image is another one, and everything would be paid for again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from spatialreasoner.core import records
from spatialreasoner.core.digests import MODEL_FILES, file_digest
from spatialreasoner.core.errors import ConfigError, MissingFileError
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.inference.endpoint import identity
from spatialreasoner.inference.journal import Journal

Grounds = dict[str, dict[str, str]]
"""Digests of parts, or short values, by the thing and the part."""

_NAMED = 3
"""So many things are named in an error."""


def model_grounds(models: Iterable[object]) -> Grounds:
    """What models answer by: their `depends`, where they have one, or else their identity."""
    return {f"model {_name(model)}": dict(getattr(model, "depends", {"identity": identity(model)})) for model in models}


def judge_grounds(judges: Mapping[str, object]) -> Grounds:
    """What judges grade by, by their names, in the same way."""
    return {f"judge {name}": dict(getattr(judge, "depends", {"identity": identity(judge)})) for name, judge in judges.items()}


def digest_of(value: object) -> str:
    """A part of the grounds: a digest of a value that JSON can hold."""
    return hashlib.sha256(records.dumps(value).encode()).hexdigest()[:16]


def files_depended_on(folder: str | Path) -> dict[str, str]:
    """The files of a model's folder that decide what it says, as parts."""
    files = sorted({path for pattern in MODEL_FILES for path in Path(folder).glob(pattern) if path.is_file()})
    return {"files": digest_of([path.name for path in files]), **{path.name: file_digest(path)[:16] for path in files}}


def asked_grounds(questions: Iterable[Question], scenes: Mapping[str, Scene], *, truth: bool) -> Grounds:
    """What is asked: questions, and the scenes that they are about; an image that is not there has no part.

    Args:
        questions: The questions.
        scenes: Their scenes by id, paths resolved.
        truth: Whether the outputs depend on true answers and the scenes' geometry, too.
    """
    found: Grounds = {}
    for question in questions:
        parts = {"text": digest_of([question.text, question.region_ids])}
        if truth:
            parts["answer"] = digest_of([question.category, question.answer, question.value, question.unit])
        found[f"question {question.id}"] = parts
        name = f"scene {question.scene_id}"
        if name not in found:
            found[name] = _scene(scenes[question.scene_id], truth=truth)
    return found


async def stand_on(journal: Journal, grounds: Grounds, out: Path, *, apart: str = "give another `out`") -> None:
    """Refuse to continue a run whose things are not what they were; else keep those that are new.

    Args:
        journal: The run's.
        grounds: What it rests on now.
        out: Its output, for the error.
        apart: How to keep the two apart, for the error.

    Raises:
        ConfigError: If a thing is another one than before; nothing was asked then.
    """
    known = journal.grounds()
    differing = {name: _changed(known[name], parts) for name, parts in grounds.items() if name in known}
    differing = {name: parts for name, parts in differing.items() if parts}
    if differing and journal.has_replies():
        named = [f"{name} ({', '.join(parts)})" for name, parts in list(differing.items())[:_NAMED]]
        more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
        raise ConfigError(
            f"{out} rests on other inputs than these; different now: {'; '.join(named)}{more}. Put back what was there, "
            f"{apart}, or remove {journal.path} to ask everything anew"
        )
    await journal.add_grounds({name: parts for name, parts in grounds.items() if known.get(name) != parts})


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The parts that differ, with both values where these can be read; what was not told then is not held against it."""
    both = [part for part in now if part in before and before[part] != now[part]]
    return [f"{part} {before[part]} then, {now[part]} now" if len(before[part]) < 16 else part for part in both]


def _scene(scene: Scene, *, truth: bool) -> dict[str, str]:
    seen = [[region.id, region.label, region.mask.size, region.mask.counts] for region in scene.regions]
    parts = {"regions": digest_of(seen)} | _file("image", scene.image)
    if truth:
        known = [asdict(each) if each is not None else None for each in (scene.intrinsics, *(scene.objects or ()))]
        depth = scene.depth
        parts["geometry"] = digest_of([known, scene.gravity, depth and [depth.units_per_metre, depth.metric]])
        parts |= _file("depth", depth.path) if depth is not None else {}
    return parts


def _file(part: str, path: str) -> dict[str, str]:
    try:
        return {part: file_digest(path)[:16]}
    except MissingFileError:
        return {}


def _name(model: object) -> str:
    return str(getattr(model, "name", None) or type(model).__qualname__)
