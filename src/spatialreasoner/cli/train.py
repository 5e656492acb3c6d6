"""`spatialreasoner train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer

from spatialreasoner.cli.options import CarefulCommand, Out
from spatialreasoner.core.errors import ConfigError


class _WithSettings(CarefulCommand):
    """A command whose help ends with all settings, by subject."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, then the settings."""
        from rich.console import Console
        from rich.panel import Panel
        from rich.table import Table

        from spatialreasoner.training.settings import settings

        super().format_help(ctx, formatter)
        console = Console()
        for subject, listed in settings().items():
            table = Table.grid(padding=(0, 2))
            for setting in listed:
                table.add_row(setting.name, f"{setting.text} [dim]\\[default: {setting.default or 'none'}][/dim]")
            console.print(Panel(table, title=f"Settings: {subject}", title_align="left", border_style="dim"))


OPTIONS = {"cls": _WithSettings, "context_settings": {"allow_interspersed_args": True}}


def train(
    kind: Annotated[
        Literal["sft", "dpo", "fdpo", "grpo"],
        typer.Argument(help="sft on sft.jsonl; dpo or fdpo on pairs.jsonl; grpo on questions with scenes.", show_default=False),
    ],
    model: Annotated[
        str, typer.Option(help="nano, a folder, hf:REPO_OR_DIR, or testing:FAMILY for a tiny random model.", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Rows written by 'pairs', or your own (JSON lines, Parquet, CSV, OWNER/NAME on the Hub); "
            "for grpo and --online, questions.",
            show_default=False,
        ),
    ],
    out: Out,
    eval_data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Held-out rows, evaluated at each checkpoint.", show_default=False),
    ] = None,
    config: Annotated[Optional[Path], typer.Option(help="A YAML file of settings.", show_default=False)] = None,  # noqa: UP045
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check settings and rows, print the number of steps and three rows as tokens, without training."
        ),
    ] = False,
    online: Annotated[
        bool,
        typer.Option("--online", help="dpo or fdpo on the model's own answers to the questions in DATA, sampled in rounds."),
    ] = False,
    rounds: Annotated[int, typer.Option(help="Number of rounds of --online.", min=1)] = 3,
    samples: Annotated[int, typer.Option(help="Answers sampled per question in each round of --online.", min=2)] = 4,
    temperature: Annotated[float, typer.Option(help="Sampling temperature of --online.", min=0.01, max=10)] = 1.0,
    max_new_tokens: Annotated[int, typer.Option(help="Maximum length of an answer of --online in tokens.", min=1)] = 512,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings such as learning_rate=1e-5; they override the file."),
    ] = None,
) -> None:
    """Train a vision-language model by SFT, DPO, fine-grained DPO, or GRPO with the verified reward.

    Examples:
        spatialreasoner train sft --model nano --data pairs/sft.jsonl --out sft
        spatialreasoner train fdpo --model sft --data pairs/pairs.jsonl --out fdpo learning_rate=1e-6
        spatialreasoner train fdpo --model sft --data pairs/pairs.jsonl --out fdpo --dry-run
        spatialreasoner train fdpo --online --model nano --data questions.jsonl --out online --rounds 2 learning_rate=1e-6
        spatialreasoner train grpo --model nano --data questions.jsonl --out grpo rewards=total
        spatialreasoner train fdpo --model testing:qwen2_5_vl --data my.jsonl --out fdpo segments=plan,answer gap_columns=gp,ga
    """
    from spatialreasoner.pipeline import OnlineConfig, train_online
    from spatialreasoner.pipeline import train as run

    if online:
        if kind not in ("dpo", "fdpo") or dry_run or eval_data is not None:
            raise ConfigError(
                "--online is for dpo and fdpo and excludes --dry-run and --eval-data: its pairs are made during the run"
            )
        how = OnlineConfig(rounds=rounds, samples=samples, temperature=temperature, max_new_tokens=max_new_tokens)
        made = train_online(data, model=model, out=out, kind=kind, config=how, settings_file=config, overrides=settings or [])
        typer.echo(f"The model is in {made.out}; the mean rewards of all rounds are in {out / 'rounds.jsonl'}")
        return
    done = run(
        data, kind=kind, model=model, out=out, eval_data=eval_data, config=config, overrides=settings or [], dry_run=dry_run
    )
    if not dry_run:
        typer.echo(f"The model is in {out}")
        return
    if done.details is not None:
        from rich.console import Console

        Console(highlight=False, soft_wrap=True).print(done.details)
    typer.echo(done.summary["plan"])
