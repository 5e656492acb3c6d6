"""How large a study is, and what all its arms share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spatialreasoner.core.errors import ConfigError

SEARCHING_TEACHERS = ("scripted:careful", "scripted:shallow", "scripted:habitual")
"""Who searches together: as many as the paper shows (its figure 5)."""

EXACT_TEACHER = "scripted:exact"
"""The teacher without errors, whose answers are preferred to own samples in the arms of the group "exact"."""

SAMPLED = ("scripted:careful", "scripted:habitual")
"""Whose plain samples are candidates beside the search's paths, in the places of the paper's two large models."""

Split = Literal["test", "validation"]


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Sizes and settings of a study; arms and seeds are chosen separately, and can be added to a running study.

    Attributes:
        base: The model that everything starts from.
        sft_scenes: Number of rooms of the SFT data.
        preference_scenes: Number of rooms of the preference pairs, different ones.
        exact_scenes: Number of further rooms, for the answers of a teacher without errors.
        number_scenes: Number of further rooms, about which mostly quantities are asked; as many again for a second round.
        test_scenes: Number of held-out rooms.
        per_scene: Questions per training room.
        test_per_scene: Questions per test room.
        own_samples: Samples per question of each seed's SFT model; the mixture takes `per_source` of them.
        per_source: Candidates from each of four sources: search, two teachers, own samples (the paper: 2).
        hard: Share of questions with a hard negative in addition to the ranked pair.
        sft_settings: Settings of SFT, `key=value`.
        preference_settings: Settings of both DPO and fDPO.
        max_new_tokens: Maximum length of an answer in tokens.
        drift_answers: Number of sampled answers to test questions from which the KL divergence from the reference is estimated.
        split: Whether to test on the rooms of the test set or on those of the validation set, on which settings are chosen.
        seed: Seed of rooms, questions and teachers' answers.
    """

    base: str = "nano-base"
    sft_scenes: int = 500
    preference_scenes: int = 240
    exact_scenes: int = 1000
    number_scenes: int = 200
    test_scenes: int = 250
    per_scene: int = 5
    test_per_scene: int = 8
    own_samples: int = 8
    per_source: int = 2
    hard: float = 0.25
    sft_settings: tuple[str, ...] = ("num_train_epochs=4", "learning_rate=3e-4", "freeze_vision=true")
    preference_settings: tuple[str, ...] = ("num_train_epochs=1", "learning_rate=5e-5", "nll_weight=10", "freeze_vision=true")
    max_new_tokens: int = 400
    drift_answers: int = 96
    split: Split = "test"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a size is out of range.
        """
        scenes = ("sft_scenes", "preference_scenes", "exact_scenes", "number_scenes", "test_scenes")
        for name in (*scenes, "per_scene", "test_per_scene", "per_source", "max_new_tokens", "drift_answers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0 <= self.hard <= 1 or self.seed < 0:
            raise ConfigError(f"hard is a share, 0..1, and the seed not negative; got {self.hard} and {self.seed}")
        if self.own_samples < self.per_source:
            raise ConfigError(f"own_samples must be at least per_source, {self.per_source}; got {self.own_samples}")


QUICK_SIZES = ("sft_scenes=100", "preference_scenes=100", "test_scenes=60", "drift_answers=48", "own_samples=2")
"""The sizes of a study in a quarter of an hour: enough to see that all works, too little to tell arms apart."""

_FIRST_ROOM_SEED = 2**41
"""Where the seeds of the study's rooms begin: far from those that the nano was pretrained on."""

_ORDER = ("sft", "preference", "validation", "test", "exact", "numbers", "second")

NUMBERS_PER_SCENE = 6
RELATIONS_PER_SCENE = {"numbers": 2, "second": 3}
"""Questions of a room of these parts: about one of each quantity, and some others, that relations are not unlearned."""

ONLINE_SCENES = 75
"""Rooms, the first of the part "numbers", about which the arms are asked that sample as they learn, and their control."""

ROUNDS = 2
"""Rounds of the arms that sample as they learn; together they ask for `own_samples` answers to a question, as other arms do."""


def rooms(config: StudyConfig, part: str) -> tuple[int, int, int]:
    """The seed of a part's rooms, how many there are, and the questions of each; parts share no room."""
    name = config.split if part == "test" else part
    if part in RELATIONS_PER_SCENE:
        scenes, per_scene = config.number_scenes, NUMBERS_PER_SCENE + RELATIONS_PER_SCENE[part]
    else:
        scenes, per_scene = getattr(config, f"{part}_scenes"), config.test_per_scene if part == "test" else config.per_scene
    return _FIRST_ROOM_SEED + len(_ORDER) * config.seed + _ORDER.index(name), scenes, per_scene
