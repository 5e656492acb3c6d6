"""Online DPO and fDPO: in rounds a model samples answers, geometry rates them, they become pairs, and it trains on them.

Rewards are verified, so no judge is asked. A round's folder holds what its stages wrote: `answers-K.jsonl`, `pairs/` and
`model/`. Several processes (`torchrun`) train together; one of them samples.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.progress import ShowProgress, progress_bar
from spatialreasoner.inference.registry import WritingConfig, named_policy
from spatialreasoner.pipeline.generating import generate
from spatialreasoner.pipeline.inputs import PathLike, read_inputs
from spatialreasoner.pipeline.pairing import build_pairs
from spatialreasoner.pipeline.result import Result
from spatialreasoner.pipeline.training import train
from spatialreasoner.preferences.pairs import PairsConfig
from spatialreasoner.training.processes import main_process_first
from spatialreasoner.vlm.sources import source_of

_WAIT = timedelta(days=7)
"""How long processes wait for the one that samples; torch's own limit of minutes is for a step of training."""


@dataclass(frozen=True, kw_only=True)
class OnlineConfig:
    """Settings of online training.

    Attributes:
        rounds: Number of rounds of sampling and training.
        samples: Answers sampled per question in each round.
        temperature: Sampling temperature.
        max_new_tokens: Maximum length of an answer in tokens.
        batch_size: Answers generated at once.
        min_gap: Minimum difference in total reward (0..16) within a pair.
        seed: Seed of every random choice.
    """

    rounds: int = 3
    samples: int = 4
    temperature: float = 1.0
    max_new_tokens: int = 512
    batch_size: int = 16
    min_gap: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.samples < 2 or not self.temperature > 0:
            raise ConfigError(
                "expected rounds of 1 or more, samples of 2 or more and a temperature above 0, so that there are answers to "
                f"compare; got rounds={self.rounds}, samples={self.samples}, temperature={self.temperature}"
            )


def train_online(
    questions: PathLike,
    *,
    model: str,
    out: PathLike,
    kind: Literal["dpo", "fdpo"] = "fdpo",
    scenes: PathLike | None = None,
    config: OnlineConfig | None = None,
    settings_file: PathLike | None = None,
    overrides: Sequence[str] = (),
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Train a model by fDPO or DPO on pairs of its own answers, in rounds. Call it again to resume.

    Args:
        questions: The questions file.
        model: The model that the first round starts from: `nano`, a folder, or `hf:REPO_OR_DIR`.
        out: The folder of the rounds, with `rounds.jsonl`: one line per round with the mean reward of its samples.
        kind: How each round trains.
        scenes: The scenes folder, if the path stored with the questions is out of date.
        config: The settings; None uses the defaults.
        settings_file: A YAML file of settings of each training, or None.
        overrides: Settings of each training as `key=value`; they override the file.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result: `out` is the folder of the last round's model, its count that of the rounds, its summary that of the last.

    Raises:
        InputError: If an input is wrong, the folder holds another run, or a round's answers make no pair.
        MissingExtraError: If the training libraries are not installed.
        WorkError: If a stage fails.
    """
    settings, folder = config or OnlineConfig(), Path(out)
    _claim(folder, kind, {"model": model, "questions": Path(questions).name, "training": sorted(overrides), **asdict(settings)})
    current, rounds = model, list[dict[str, Any]]()
    for number in range(1, settings.rounds + 1):
        place = folder / f"round-{number}"
        with main_process_first(_WAIT):
            answers = _sample(questions, scenes, current, place, settings, number, progress)
            pairs = _pair(questions, scenes, answers, place / "pairs", settings, current, progress)
        seeded = [*overrides, f"seed={settings.seed + number}"]
        trained = train(
            pairs / "pairs.jsonl",
            kind=kind,
            model=current,
            out=place / "model",
            config=settings_file,
            overrides=seeded,
            progress=progress,
        )
        rounds.append({"round": number, **_rewards(pairs / "rewards.jsonl"), "loss": trained.summary.get("loss")})
        records.write_jsonl(folder / "rounds.jsonl", rounds)
        current = str(place / "model")
    return Result(
        stage="train", out=Path(current), files=(Path(current), folder / "rounds.jsonl"), count=len(rounds), summary=rounds[-1]
    )


train_online_async = asynchronous(train_online)


def _claim(folder: Path, kind: str, record: dict[str, Any]) -> None:
    """Write down what the run is, or find that the folder's is another."""
    file, stage = folder / "config.json", f"train {kind} online"
    if not file.is_file():
        records.write_config(folder, stage, record)
        return
    found = records.read_json(file, dict[str, Any])
    if found.get("stage") != stage:
        raise ConfigError(
            f"expected the folder of '{stage}'; {folder} holds '{found.get('stage')}'. Give another `out`, or remove it"
        )
    before = found.get("config")
    now = json.loads(json.dumps(record))
    if before != now:
        old = before if isinstance(before, dict) else {}
        changed = sorted(key for key in {*old, *now} if old.get(key) != now.get(key))
        raise ConfigError(f"{folder} holds another run; it differs in {', '.join(changed)}. Give another `out`, or remove it")


def _sample(
    questions: PathLike,
    scenes: PathLike | None,
    model: str,
    place: Path,
    config: OnlineConfig,
    number: int,
    progress: ShowProgress | None,
) -> list[Path]:
    """Files of answers, one per sample; those that are there are kept."""
    files = [place / f"answers-{index}.jsonl" for index in range(1, config.samples + 1)]
    missing = [file for file in files if not file.with_name(f"{file.stem}.summary.json").is_file()]
    if missing:
        writing = WritingConfig(
            temperature=config.temperature, max_new_tokens=config.max_new_tokens, batch_size=config.batch_size
        )
        policy = named_policy(model, read_inputs(questions, scenes).scenes, writing)  # loaded once for all samples
        for file in missing:
            seed = (config.seed * 1000 + number) * 1000 + files.index(file)
            generate(questions, model=policy, out=file, scenes=scenes, seed=seed, writing=writing, progress=progress)
    return files


def _pair(
    questions: PathLike,
    scenes: PathLike | None,
    answers: Sequence[Path],
    place: Path,
    config: OnlineConfig,
    model: str,
    progress: ShowProgress | None,
) -> Path:
    """The folder with the pairs, and with the rewards of all answers."""
    if not (place / "summary.json").is_file():
        from spatialreasoner.vlm.regions import has_region_tokens

        regions = "tokens" if has_region_tokens(source_of(model)) else "marks"
        made = PairsConfig(candidates=len(answers), min_gap=config.min_gap, hard=0.0, seed=config.seed, regions=regions)
        build_pairs(questions=questions, answers=answers, out=place, scenes=scenes, config=made, progress=progress)
    return place


def _rewards(file: Path) -> dict[str, float | int | None]:
    """What the answers of a round earned."""
    rows = [row["reward"] for row in records.read_jsonl(file, dict[str, Any])]
    found: dict[str, float | int | None] = {"answers": len(rows)}
    for name in ("total", "description", "reasoning"):
        scored = [row[name] for row in rows if row[name] is not None]
        found[f"reward_{name}"] = round(sum(scored) / len(scored), 6) if scored else None
    return found
