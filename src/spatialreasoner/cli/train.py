"""`spatialreasoner train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer
from typer.core import TyperCommand

from spatialreasoner.cli.options import Out


class _WithSettings(TyperCommand):
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
    data: Annotated[Path, typer.Option(help="Rows written by 'pairs'; for grpo, questions.", show_default=False)],
    out: Out,
    eval_data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Held-out rows, evaluated at each checkpoint.", show_default=False),
    ] = None,
    config: Annotated[Optional[Path], typer.Option(help="A YAML file of settings.", show_default=False)] = None,  # noqa: UP045
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check settings and rows and print the number of steps, without training.")
    ] = False,
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
        spatialreasoner train grpo --model nano --data questions.jsonl --out grpo rewards=total
    """
    from spatialreasoner.pipeline import train as run
    from spatialreasoner.training.run import rehearse

    if dry_run:
        typer.echo(rehearse(kind, model=model, data=data, eval_data=eval_data, config_file=config, overrides=settings or []))
        return
    run(data, kind=kind, model=model, out=out, eval_data=eval_data, config=config, overrides=settings or [])
    typer.echo(f"The model is in {out}")
