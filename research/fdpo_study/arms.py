"""What is compared: each arm is a way to train, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from research.fdpo_study.gaps import Rule

from research.fdpo_study import gaps
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.config import Kind

PairSet = Literal[
    "mixture", "own", "sound", "nearest", "teachers", "visual", "spatial", "logical", "factor", "exact", "numbers",
    "second", "extremes",
]  # fmt: skip
"""Which pairs: of the paper's mixture of candidates, of own samples alone, of the good ones of them (right by their own steps),
of own answers, searched or sampled, a good one and the one that begins most like it and is not, of search and teachers alone,
of the mixture ranked by one reward alone, of own samples whose lengths are scored by factor instead of by relative error, or,
on other rooms, of a teacher without errors against own samples, or, to questions that are mostly about quantities, of the good
own answer that is closest to the truth and one that is less close and begins like it; or what is decisive in a second round;
or, to the first of the questions about quantities, the best and the worst own answer."""

Taught = Literal["reasoned", "short", "blind"]
"""What the base model may be taught: LongCoT answers, the reference's one sentence, or LongCoT answers without the image."""

Answers = Literal[Taught, "chosen", "best"]
"""What SFT learns: one of these, or, after the arm `sft`, the chosen answers of the pairs, or the best good answers to the
questions that the pairs are of."""

Group = Literal["main", "control", "exact", "numbers", "online", "tuning"]

AnsweredRooms = Literal["preference", "exact", "numbers", "second"]
"""Rooms whose questions each seed's own models answer."""

OWN_ANSWERS: Mapping[AnsweredRooms, str] = {
    "preference": "own",
    "exact": "own-exact",
    "numbers": "own-numbers",
    "second": "own-second",
}
"""Where a seed's own answers to the questions of a part are."""


def part_of(pairs: PairSet) -> AnsweredRooms:
    """The rooms that a set of pairs is of."""
    if pairs == "extremes":
        return "numbers"
    return pairs if pairs in ("exact", "numbers", "second") else "preference"


def learner(part: str) -> str:
    """The arm whose model answers the questions of a part, and learns from its own answers, itself the reference."""
    return "dpo-numbers" if part == "second" else "sft"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A way to train.

    Attributes:
        name: What it is called.
        title: What it is.
        kind: How it is trained.
        answers: What SFT learns.
        pairs: Which pairs preference training learns from.
        rule: What becomes of the pairs' gaps.
        hard: Whether hard negatives are among them.
        settings: Settings of its own, `key=value`.
        group: "main" has all the seeds, "control" three at most; "exact", the pairs of a teacher without errors, and
            "numbers", own answers to questions about quantities, have all the seeds and are run when they are named, "online"
            too, with three seeds at most, and "tuning" is for choosing settings on validation rooms.
        online: Whether it samples what it learns from itself, in rounds, to the questions that `pairs` are of.
    """

    name: str
    title: str
    kind: Kind
    answers: Answers = "reasoned"
    pairs: PairSet = "mixture"
    rule: Rule = gaps.as_scored
    hard: bool = True
    settings: tuple[str, ...] = ()
    group: Group = "control"
    online: bool = False

    @property
    def follows(self) -> bool:
        """Whether it learns after an arm of the same seed, `start`, which is the reference of preference training."""
        return self.kind != "sft" or self.answers in {"chosen", "best"}

    @property
    def prefers(self) -> bool:
        """Whether it learns from given pairs by DPO or fDPO."""
        return self.kind in {"dpo", "fdpo"} and not self.online

    @property
    def start(self) -> str | None:
        """The arm of the same seed that it begins as; None for the base model."""
        return learner(self.part) if self.follows else None

    @property
    def part(self) -> Literal["sft"] | AnsweredRooms:
        """The rooms that it learns from."""
        return part_of(self.pairs) if self.follows else "sft"


def _control(name: str, title: str, rule: Rule) -> Arm:
    return Arm(name=name, title=title, kind="fdpo", rule=rule)


def _setting(kind: Kind, name: str, value: float, title: str, setting: str) -> Arm:
    return Arm(name=f"{kind}-{name}-{value:g}", title=f"{title} {value:g}", kind=kind, settings=(f"{setting}={value:g}",))


def _tuning(name: str, title: str, *settings: str) -> Arm:
    return Arm(name=f"tune-{name}", title=f"fDPO, {title}", kind="fdpo", settings=settings, group="tuning")


def _numbers(kind: Kind, title: str, *settings: str, pairs: Literal["numbers", "second"] = "numbers") -> Arm:
    return Arm(name=f"{kind}-{pairs}", title=title, kind=kind, answers="best", pairs=pairs, settings=settings, group="numbers")


def _online(kind: Kind, title: str) -> Arm:
    return Arm(name=f"online-{kind}", title=title, kind=kind, pairs="extremes", group="online", online=True)


def _exact(kind: Kind, title: str, *settings: str) -> Arm:
    settings = ("learning_rate=1e-4", *settings)
    return Arm(name=f"{kind}-exact", title=title, kind=kind, answers="chosen", pairs="exact", settings=settings, group="exact")


_RATES, _NLLS = ("1e-5", "5e-5", "2e-4"), ("0", "1", "10")

GRPO = (
    *("num_train_epochs=1", "learning_rate=5e-5", "warmup_ratio=0", "freeze_vision=true"),
    *("num_generations=8", "per_device_train_batch_size=32", "max_completion_length=200"),
)
"""As many samples of each question as the pairs are made of, and the settings of `research.grpo_nano`."""

ALPHAS, LAMS, BETAS = (0.1, 0.2, 0.4, 0.8), (0.2, 0.4, 0.8), (0.05, 0.2, 0.3)
"""Values beside the arms' own: alpha 0.3, lambda 0.6, beta 0.1."""

ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(name="sft", title="SFT on the best answers of the search", kind="sft", group="main"),
        Arm(name="dpo", title="DPO", kind="dpo", group="main"),
        Arm(name="fdpo", title="fDPO", kind="fdpo", group="main"),
        Arm(
            name="sft-short",
            title="SFT on one-sentence answers, no chain of thought",
            kind="sft",
            answers="short",
            settings=(
                "num_train_epochs=4",
                "learning_rate=3e-4",
            ),  # the base model knows chains alone: the form has to be learned first
        ),
        Arm(name="sft-chosen", title="SFT, then SFT on the pairs' chosen answers", kind="sft", answers="chosen"),
        Arm(name="sft-blind", title="SFT without seeing the image", kind="sft", answers="blind"),
        _control("fdpo-fixed", "fixed unequal betas (fDPO's mean weights in every pair)", gaps.fixed),
        _control("fdpo-fixed-opposite", "fixed unequal betas, segments exchanged", gaps.fixed_opposite),
        _control("fdpo-shuffled", "fDPO with the gaps of other pairs", gaps.shuffled),
        _control("fdpo-inverse", "fDPO with the gaps of the segments exchanged", gaps.inverse),
        _control("fdpo-description", "fDPO by the description's gap alone", gaps.description_only),
        _control("fdpo-reasoning", "fDPO by the reasoning's gap alone", gaps.reasoning_only),
        *(_setting("dpo", "beta", beta, "DPO, beta", "beta") for beta in BETAS),
        *(_setting("fdpo", "alpha", alpha, "fDPO, alpha", "fdpo_alpha") for alpha in ALPHAS),
        *(_setting("fdpo", "lam", lam, "fDPO, lambda", "fdpo_lambda") for lam in LAMS),
        Arm(name="fdpo-visual", title="fDPO, ranked by the visual reward alone", kind="fdpo", pairs="visual"),
        Arm(name="fdpo-spatial", title="fDPO, ranked by the spatial rewards alone", kind="fdpo", pairs="spatial"),
        Arm(name="fdpo-logical", title="fDPO, ranked by the logical reward alone", kind="fdpo", pairs="logical"),
        Arm(name="fdpo-own", title="fDPO on own samples alone", kind="fdpo", pairs="own", group="main"),
        Arm(
            name="fdpo-factor",
            title="fDPO on own samples, lengths scored by factor",
            kind="fdpo",
            pairs="factor",
            group="main",
        ),
        Arm(
            name="sft-best",
            title="SFT, then SFT on the best of its own samples",
            kind="sft",
            answers="best",
            pairs="sound",
            settings=("num_train_epochs=2", "learning_rate=1e-4"),
            group="main",
        ),
        Arm(
            name="dpo-nearest",
            title="DPO, good own answers against the nearest that are not",
            kind="dpo",
            pairs="nearest",
            group="main",
        ),
        Arm(name="fdpo-nearest", title="fDPO on the same pairs", kind="fdpo", pairs="nearest", group="main"),
        Arm(name="grpo", title="GRPO on the same questions", kind="grpo", pairs="own", settings=GRPO),
        Arm(name="fdpo-teachers", title="fDPO on search and teachers alone", kind="fdpo", pairs="teachers"),
        Arm(name="fdpo-ranked", title="fDPO without hard negatives", kind="fdpo", hard=False),
        _exact("fdpo", "fDPO on exact answers against own samples, with the likelihood", "nll_weight=10"),
        _exact("dpo", "DPO on the same pairs, with the likelihood", "nll_weight=10"),
        _exact("sft", "SFT, then SFT on the same exact answers"),
        _numbers("sft", "SFT, then SFT on the closest of its own samples", "num_train_epochs=2", "learning_rate=2e-4"),
        _numbers("dpo", "DPO, close own answers against less close ones", "learning_rate=2e-4"),
        _numbers("fdpo", "fDPO on the same pairs", "learning_rate=2e-4"),
        _numbers("dpo", "DPO once more, on own answers of dpo-numbers", "learning_rate=1e-4", pairs="second"),
        _numbers("fdpo", "fDPO on these pairs, from dpo-numbers", "learning_rate=1e-4", pairs="second"),
        Arm(
            name="dpo-once",
            title="DPO, best against worst of eight own answers",
            kind="dpo",
            pairs="extremes",
            settings=("num_train_epochs=2",),
            group="online",
        ),
        _online("dpo", "DPO in two rounds, of four own answers each"),
        _online("fdpo", "fDPO in two rounds, of four own answers each"),
        *(_tuning(f"rate-{rate}", f"learning rate {rate}", f"learning_rate={rate}") for rate in _RATES),
        *(_tuning(f"nll-{weight}", f"weight of the likelihood {weight}", f"nll_weight={weight}") for weight in _NLLS),
        _tuning("beta-0.03", "beta 0.03", "beta=0.03"),
        _tuning("beta-0.3", "beta 0.3", "beta=0.3"),
        _tuning("frozen", "vision part frozen", "freeze_vision=true"),
        _tuning("epochs-2", "two passes", "num_train_epochs=2"),
    )
}
"""All arms, in the order in which they are run and shown. The base model is beside them: it needs no training."""

MAIN = ("sft", "dpo", "fdpo")
"""The paper's own arms."""
QUICK_ARMS = (*MAIN, "fdpo-inverse", "dpo-beta-0.3")
CONTROL_SEEDS = 3
"""Seeds of the controls."""


def choose_arms(names: Sequence[str]) -> list[Arm]:
    """Arms by name or by group, in their order, with those that they start from; none named are main ones and controls.

    Raises:
        ConfigError: If there is no such arm.
    """
    wanted = set(names) or {"main", "control"}
    if unknown := sorted(wanted - ARMS.keys() - set(get_args(Group))):
        raise ConfigError(f"expected arms among {', '.join((*get_args(Group), *ARMS))}; got {unknown[0]!r}")
    chosen = {arm.name for arm in ARMS.values() if {arm.name, arm.group} & wanted} | {"sft"}
    while earlier := {start for name in chosen if (start := ARMS[name].start)} - chosen:
        chosen |= earlier
    return [arm for arm in ARMS.values() if arm.name in chosen]


def seeds_of(arm: Arm, seeds: int) -> range:
    """The seeds that an arm is trained with."""
    return range(min(seeds, CONTROL_SEEDS) if arm.group in {"control", "online"} else seeds)
