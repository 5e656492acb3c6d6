"""The command line: one subcommand a stage; each maps its options onto that stage's Config.

Exit codes: 0 done; 1 failed while working; 2 what the user gave is wrong; 130 and 143 after Ctrl-C and SIGTERM. Stages are
imported inside their commands, so that `--help` answers at once.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, Optional

import typer

from spatialreasoner import __version__
from spatialreasoner.cli.scenes_import import scenes_import
from spatialreasoner.core.errors import ConfigError, InputError, MissingExtraError, SpatialReasonerError, WorkError
from spatialreasoner.core.progress import stage

if TYPE_CHECKING:
    from spatialreasoner.evaluation.model_judge import JudgingConfig
    from spatialreasoner.judges.agreement import Agreement
    from spatialreasoner.search.run import Forecast

app = typer.Typer(
    name="spatialreasoner",
    help="Spatial reasoning for vision-language models: verified rewards, multi-model tree search, fine-grained DPO.\n\n"
    "The stages, in order: scenes, questions, search, pairs, train, generate, score, report. 'demo' runs them all.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
scenes_app = typer.Typer(no_args_is_help=True, help="Make a scenes folder: pictures, regions, depth and cameras.")
app.add_typer(scenes_app, name="scenes")
scenes_app.command("import")(scenes_import)

Out = Annotated[Path, typer.Option("--out", help="Where to write; made if it is not there.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Seed of every random choice; the same seed gives the same bytes.", min=0)]
Scenes = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it at run time
    typer.Option("--scenes", help="The scenes folder, where the questions' own record of it does not hold any more."),
]
Model = Annotated[
    str,
    typer.Option(help="Which model: a folder or hf:REPO_OR_DIR, scripted:careful, api:MODEL@BASE_URL.", show_default=False),
]

Key = Annotated[str, typer.Option(help="Environment variable that holds the key of endpoints.")]
NewTokens = Annotated[int, typer.Option(help="Longest answer of a local model, tokens.", min=1)]


def _version(show: bool) -> None:
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None: ...


@app.command()
def demo(
    out: Out,
    seed: Seed = 0,
    photos: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="An RGB-D folder of a real photo; give it once a folder.", show_default="../shared/data/rgbd/*"),
    ] = None,
) -> None:
    """Run the whole method on the embedded model: search, SFT, fDPO against DPO, and a report with every answer."""
    from spatialreasoner import demo as pipeline

    report = pipeline.run(pipeline.DemoConfig(seed=seed, photos=None if photos is None else tuple(map(str, photos))), out)
    typer.echo("\n".join((f"The report is at {report}. Go on with:", *pipeline.next_commands(out))))


@scenes_app.command("synthetic")
def scenes_synthetic(
    out: Out,
    count: Annotated[int, typer.Option(help="How many scenes.", min=1, max=1_000_000)] = 100,
    seed: Seed = 0,
    width: Annotated[int, typer.Option(help="Width of the pictures, pixels.", min=32, max=4096)] = 128,
    height: Annotated[int, typer.Option(help="Height of the pictures, pixels.", min=32, max=4096)] = 128,
) -> None:
    """Make rooms with tables and things on them, with exact depth, masks and true sizes."""
    from spatialreasoner.scenes import synthetic

    config = synthetic.SyntheticConfig(count=count, seed=seed, width=width, height=height)
    with stage(f"render {count} scenes", count) as advance:
        written = synthetic.write_scenes(config, out, progress=advance)
    typer.echo(f"{written} scenes in {out}")


@scenes_app.command("rgbd")
def scenes_rgbd(
    folders: Annotated[list[Path], typer.Argument(help="Folders with image, depth.png and scene.json.", show_default=False)],
    out: Out,
) -> None:
    """Read real photos with measured depth (the RGB-D folder format)."""
    from spatialreasoner.scenes import rgbd

    with stage(f"read {len(folders)} folders", len(folders)) as advance:
        written = rgbd.write(folders, out, progress=advance)
    typer.echo(f"{written} scenes in {out}")


@scenes_app.command("images")
def scenes_images(
    folder: Annotated[Path, typer.Argument(help="A folder of photos.", show_default=False)],
    out: Out,
    depth: Annotated[
        str, typer.Option(help="A depth-estimation model of transformers: a folder or a repository.", show_default=False)
    ],
    masks: Annotated[
        str,
        typer.Option(
            help="A SAM model of transformers, or the file or folder of a label tool (COCO, CVAT, labelme, ...).",
            show_default=False,
        ),
    ],
    fov: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Horizontal field of view, degrees, of photos whose EXIF does not tell the focal length."),
    ] = None,
) -> None:
    """Make scenes of any photos: depth and masks by models, the camera from EXIF or a stated field of view."""
    from spatialreasoner.inference.backends.depth import TransformersDepth
    from spatialreasoner.inference.backends.masks import TransformersMasks
    from spatialreasoner.scenes import images
    from spatialreasoner.scenes.annotations.finder import AnnotatedRegions, is_annotations

    config = images.ImagesConfig(folder=str(folder), depth=depth, masks=masks, field_of_view=fov)
    finder = AnnotatedRegions(masks, photos=folder) if is_annotations(masks) else TransformersMasks(masks)
    with stage(f"read the photos of {folder}") as advance:
        written = images.write(config, out, TransformersDepth(depth), finder, progress=advance)
    typer.echo(f"{written} scenes in {out}")


@scenes_app.command("benchmark")
def scenes_benchmark(
    source: Annotated[Path, typer.Argument(help="SpatialRGPT-Bench: its .json, .parquet, or folder.", show_default=False)],
    out: Out,
    images: Annotated[str, typer.Option(help="Folder of its pictures, where they do not lie beside the file.")] = "",
) -> None:
    """Read SpatialRGPT-Bench from official files: scenes and questions to generate and score on."""
    from spatialreasoner.evaluation.benchmark import BenchmarkConfig, write_benchmark

    with stage(f"read {source}") as advance:
        summary = write_benchmark(BenchmarkConfig(source=str(source), images=images), out, progress=advance)
    typer.echo(f"{summary.questions} questions in {out / 'questions.jsonl'}")


@app.command()
def questions(
    scenes: Annotated[Path, typer.Argument(help="A scenes folder.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("questions.jsonl"),
    per_scene: Annotated[int, typer.Option(help="How many questions a scene.", min=1, max=10_000)] = 5,
    seed: Seed = 0,
) -> None:
    """Ask questions of the 24 kinds of SpatialRGPT-Bench, with the truth from geometry."""
    from spatialreasoner.questions.generate import QuestionsConfig, write_questions

    config = QuestionsConfig(scenes=str(scenes), per_scene=per_scene, seed=seed)
    with stage(f"ask about {scenes}") as advance:
        count = write_questions(config, out, progress=advance)
    typer.echo(f"{count.total()} questions of {len(count)} kinds in {out}")


@app.command()
def search(
    questions: Annotated[Path, typer.Argument(help="A questions file.", show_default=False)],
    policy: Annotated[
        list[str],
        typer.Option(
            "--policy",
            help="A model that writes; give it once a model: scripted:careful, hf:DIR, api:MODEL@BASE_URL.",
            show_default=False,
        ),
    ],
    out: Out,
    judge: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--judge", help="A model, api:MODEL@BASE_URL, that grades what geometry cannot; once a model."),
    ] = None,
    scenes: Scenes = None,
    seed: Seed = 0,
    rounds: Annotated[int, typer.Option(help="Most model calls a tree, counted as rounds times models.", min=1)] = 20,
    samples: Annotated[int, typer.Option(help="Plain samples of each model a question, beside its tree.", min=0)] = 2,
    candidates: Annotated[int, typer.Option(help="Scored answers that each question should get.", min=1)] = 8,
    temperature: Annotated[float, typer.Option(help="Sampling temperature of local models.", min=0, max=10)] = 0.9,
    max_new_tokens: NewTokens = 768,
    concurrency: Annotated[int, typer.Option(help="Most requests in flight to each model.", min=1)] = 16,
    key_variable: Key = "OPENAI_API_KEY",
    prefill: Annotated[bool, typer.Option(help="Endpoints continue a begun message (vLLM, SGLang).")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before an expensive run.")] = False,
    max_calls: Annotated[Optional[int], typer.Option(help="Stop before more requests are sent.", min=1)] = None,  # noqa: UP045
    max_tokens: Annotated[Optional[int], typer.Option(help="Stop before more tokens are used.", min=1)] = None,  # noqa: UP045
    max_cost: Annotated[Optional[float], typer.Option(help="Stop before more money is spent.", min=0)] = None,  # noqa: UP045
    cluster: Annotated[bool, typer.Option("--cluster", help="Run on Ray (the extra 'ray').")] = False,
    shards: Annotated[int, typer.Option(help="Shards of a run on Ray; go on with the same number.", min=1)] = 2,
    address: Annotated[Optional[str], typer.Option(help="Address of a Ray cluster; none starts a local one.")] = None,  # noqa: UP045
) -> None:
    """Search answers with several models in one tree a question (M3CTS), rated by geometry."""
    from spatialreasoner.inference.registry import WritingConfig
    from spatialreasoner.pipeline import stages
    from spatialreasoner.search.m3cts import SearchConfig
    from spatialreasoner.search.run import RunConfig

    config = RunConfig(
        search=SearchConfig(seed=seed, max_model_rounds=rounds), samples_per_policy=samples, candidates=candidates,
        max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost,
    )  # fmt: skip
    writing = WritingConfig(temperature=temperature, max_new_tokens=max_new_tokens, key_variable=key_variable, prefill=prefill)
    result = stages.search(
        questions,
        policy,
        out,
        config,
        scenes=scenes,
        writing=writing,
        judges=judge or (),
        concurrency=concurrency,
        cluster=stages.ClusterConfig(shards=shards, address=address) if cluster else None,
        agree=partial(_agree, yes),
    )
    typer.echo(f"{result.summary['trajectories']} scored answers in {out}")
    if result.stopped or result.unfinished:
        why = result.stopped or next(iter(result.unfinished.values()))
        raise WorkError(f"{len(result.unfinished)} questions are not finished: {why}; the same command goes on")


@app.command()
def reward(
    questions: Annotated[Path, typer.Argument(help="A questions file.", show_default=False)],
    responses: Annotated[Path, typer.Argument(help="JSON lines of question_id and text.", show_default=False)],
    out: Annotated[Optional[Path], typer.Option("--out", help="The file to write.", show_default=False)] = None,  # noqa: UP045
    scenes: Scenes = None,
    explain: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Print this response (its row, from 0) with its statements coloured by verdict.", min=0),
    ] = None,
    judge: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--judge", help="A model, api:MODEL@BASE_URL, that scores what geometry cannot; several are averaged."),
    ] = None,
    embeddings: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="A sentence-embedding model, a folder or a repository, for names that the table does not know."),
    ] = None,
    judge_all: Annotated[bool, typer.Option("--judge-all", help="Judge every response, and compare with geometry.")] = False,
    concurrency: Annotated[int, typer.Option(help="Most requests in flight to each judge.", min=1)] = 16,
    key_variable: Key = "OPENAI_API_KEY",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before expensive judging.")] = False,
    max_calls: Annotated[Optional[int], typer.Option(help="Stop before more requests are sent.", min=1)] = None,  # noqa: UP045
    max_tokens: Annotated[Optional[int], typer.Option(help="Stop before more tokens are used.", min=1)] = None,  # noqa: UP045
    max_cost: Annotated[Optional[float], typer.Option(help="Stop before more money is spent.", min=0)] = None,  # noqa: UP045
) -> None:
    """Score answers by geometry that can be verified, or else by a judge: visual, spatial and logical, with reasons."""
    from spatialreasoner.pipeline import stages
    from spatialreasoner.pipeline.reward import RewardConfig
    from spatialreasoner.rewards.explain import explain as show

    if out is None and explain is None:
        raise ConfigError("expected --out FILE to write the rewards, or --explain ROW to print one, or both")
    if judge_all and not judge:
        raise ConfigError("--judge-all needs a --judge api:MODEL@BASE_URL")
    config = RewardConfig(
        questions=str(questions), responses=str(responses), scenes=scenes and str(scenes), judge_all=judge_all
    )
    judging = stages.JudgesConfig(
        names=tuple(judge or ()), concurrency=concurrency, key_variable=key_variable,
        max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost,
    )  # fmt: skip
    if explain is not None:
        show(*stages.explain(config, explain, judging if judge else None, embeddings))
    if out is not None:
        count, agreement = stages.reward(
            config, out, judging=judging if judge else None, embeddings=embeddings, agree=partial(_agree, yes)
        )
        typer.echo(f"{count} rewards in {out}")
        if agreement is not None:
            _show_agreement(agreement)


def _show_agreement(found: Agreement) -> None:
    from spatialreasoner.judges.agreement import show

    typer.echo(
        f"{found.asked} of {found.responses} responses were judged; {found.unscored} have no total, being unscored in part"
    )
    if found.asked:
        show(found)
    if found.failed:
        typer.echo(
            f"{found.failed} judgements failed and are unscored; the same command asks again. The first: {found.failure}"
        )


@app.command()
def pairs(
    runs: Annotated[list[Path], typer.Argument(help="Folders that 'search' wrote.", show_default=False)],
    out: Out,
    scenes: Scenes = None,
    seed: Seed = 0,
    candidates: Annotated[int, typer.Option(help="Scored answers of a question that are compared.", min=2)] = 8,
    min_gap: Annotated[float, typer.Option(help="Least difference of total reward (0..16) in a pair.", min=0, max=16)] = 0.5,
    hard: Annotated[float, typer.Option(help="Share of questions with a hard pair (conclusion altered).", min=0, max=1)] = 0.25,
    regions: Annotated[
        Literal["marks", "tokens"],
        typer.Option(help="Draw regions on the pictures, or let clean pictures carry them for a model with region tokens."),
    ] = "marks",
) -> None:
    """Make preference pairs with a gap for each segment, and the picks for SFT, from scored answers."""
    from spatialreasoner.pipeline import stages
    from spatialreasoner.preferences.pairs import PairsConfig

    config = PairsConfig(candidates=candidates, min_gap=min_gap, hard=hard, seed=seed, regions=regions)
    made = stages.pairs(runs, out, config, scenes=scenes)
    typer.echo(f"{made.ranked} ranked and {made.hard} hard pairs, {made.sft} picks for SFT in {out}")


@app.command(context_settings={"allow_interspersed_args": True})
def train(
    kind: Annotated[
        Literal["sft", "dpo", "fdpo"], typer.Argument(help="sft on sft.jsonl; dpo or fdpo on pairs.jsonl.", show_default=False)
    ],
    model: Annotated[str, typer.Option(help="'tiny' builds a small VLM; else a folder or hf:REPO_OR_DIR.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Rows that 'pairs' wrote.", show_default=False)],
    out: Out,
    eval_data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Rows that are not trained on; measured at each checkpoint.", show_default=False),
    ] = None,
    config: Annotated[Optional[Path], typer.Option(help="A YAML file of settings.", show_default=False)] = None,  # noqa: UP045
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read settings and rows, tell how many steps they make, and train nothing.")
    ] = False,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as learning_rate=1e-5; they win over the file's."),
    ] = None,
) -> None:
    """Train a vision-language model by SFT, DPO or fine-grained DPO."""
    from spatialreasoner.training.run import rehearse
    from spatialreasoner.training.run import train as run

    if dry_run:
        typer.echo(rehearse(kind, model=model, data=data, eval_data=eval_data, config_file=config, overrides=settings or []))
        return
    run(kind, model=model, data=data, out=out, eval_data=eval_data, config_file=config, overrides=settings or [])
    typer.echo(f"The model is in {out}")


@app.command()
def generate(
    questions: Annotated[Path, typer.Argument(help="A questions file.", show_default=False)],
    model: Model,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("predictions.jsonl"),
    scenes: Scenes = None,
    seed: Seed = 0,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.", min=0, max=10)] = 0.0,
    max_new_tokens: NewTokens = 768,
    batch_size: Annotated[int, typer.Option(help="Most answers that a local model writes at once.", min=1)] = 16,
    key_variable: Key = "OPENAI_API_KEY",
    regions: Annotated[
        Literal["own", "marks", "boxes", "boxes-1000", "tokens"],
        typer.Option(help="How the model is shown regions; 'own' is its own way."),
    ] = "own",
) -> None:
    """Let a model answer questions; writes rows of SpatialRGPT-Bench's own form."""
    from spatialreasoner.inference.registry import WritingConfig
    from spatialreasoner.pipeline import stages

    writing = WritingConfig(
        temperature=temperature, max_new_tokens=max_new_tokens, batch_size=batch_size, key_variable=key_variable
    )
    count = stages.generate(questions, model, out, scenes=scenes, seed=seed, regions=regions, writing=writing)
    typer.echo(f"{count} predictions in {out}")


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="A predictions file.", show_default=False)],
    out: Annotated[Optional[Path], typer.Option("--out", help="Where to write score.json.", show_default=False)] = None,  # noqa: UP045
    against: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Another model's predictions: tell the difference, question by question.", show_default=False),
    ] = None,
    judge: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="A model, api:MODEL@BASE_URL, that judges the answers; tells how far the offline rules agree.",
            show_default=False,
        ),
    ] = None,
    judge_revision: Annotated[str, typer.Option(help="Revision of the judge's weights, where known.")] = "",
    key_variable: Key = "OPENAI_API_KEY",
    seed: Seed = 0,
) -> None:
    """Score predictions by the rules of SpatialRGPT-Bench, offline or by a judging model, with intervals."""
    from spatialreasoner.evaluation.predictions import read_predictions
    from spatialreasoner.evaluation.score import compare, run_score
    from spatialreasoner.report import terminal

    if judge is not None:
        from spatialreasoner.evaluation.model_judge import JudgingConfig

        judging = JudgingConfig(model=judge, revision=judge_revision, seed=seed, key_variable=key_variable)
        _score_by_model(predictions, out, against, judging, seed)
        return
    terminal.show(run_score(predictions, out, seed=seed))
    if against is not None:
        terminal.show_comparison(compare(read_predictions(against), read_predictions(predictions), seed=seed))


def _score_by_model(predictions: Path, out: Path | None, against: Path | None, judging: JudgingConfig, seed: int) -> None:
    from spatialreasoner.evaluation.agreement import run_judged_score
    from spatialreasoner.evaluation.predictions import read_predictions
    from spatialreasoner.evaluation.score import compare
    from spatialreasoner.report import terminal

    with stage(f"judge {predictions}") as advance:
        judged = run_judged_score(predictions, judging, out, seed=seed, progress=advance)
    terminal.show(judged.score)
    terminal.show_agreement(judged.agreement)
    if against is not None:
        with stage(f"judge {against}") as advance:
            other = run_judged_score(against, judging, seed=seed, progress=advance)
        verdicts = (other.verdicts, judged.verdicts)
        terminal.show_comparison(compare(read_predictions(against), read_predictions(predictions), verdicts, seed=seed))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; what they hold is shown.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file to write: .html, .md or .tex.")] = Path("report.html"),
) -> None:
    """Write one HTML file, to be read offline, of what the run folders hold; or Markdown, or a LaTeX table."""
    from spatialreasoner.report.report import write_report

    with stage(f"report on {', '.join(map(str, runs))}"):
        write_report(runs, out)
    typer.echo(f"The report is at {out}")


@app.command(hidden=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def study() -> None:
    """Moved: `python -m research.fdpo_study` in a checkout."""
    raise ConfigError("the study is not part of the package; in a checkout, run `python -m research.fdpo_study --out DIR`")


@app.command("app")
def browse(
    model: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A model that may be asked; give it once a model.", show_default="nano"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; the default lets only this machine in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes one that is free.", min=0, max=65535)] = 7860,
    depth: Annotated[Optional[str], typer.Option(help="A depth-estimation model of transformers.")] = None,  # noqa: UP045
    masks: Annotated[Optional[str], typer.Option(help="A SAM model of transformers: regions to click on.")] = None,  # noqa: UP045
    fov: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Horizontal field of view, degrees, of photos whose EXIF does not tell the focal length."),
    ] = None,
    photos: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="An RGB-D folder, or a folder of them, shown as examples; once a folder."),
    ] = None,
    runs: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="A run folder whose search trees and preference pairs can be browsed; once a folder."),
    ] = None,
    share: Annotated[bool, typer.Option("--share", help="Open a public tunnel: anyone with the address can ask.")] = False,
    max_new_tokens: NewTokens = 768,
    key_variable: Key = "OPENAI_API_KEY",
) -> None:
    """Draw regions on a picture and ask, in a browser."""
    from spatialreasoner.app.config import AppConfig
    from spatialreasoner.app.serve import serve

    serve(
        AppConfig(
            models=tuple(model or ["nano"]), host=host, port=port, share=share, depth=depth, masks=masks, field_of_view=fov,
            photos=tuple(map(str, photos or ())), runs=tuple(map(str, runs or ())), max_new_tokens=max_new_tokens,
            key_variable=key_variable,
        )
    )  # fmt: skip


@app.command()
def ask(
    image: Annotated[Path, typer.Argument(help="A picture.", show_default=False)],
    question: Annotated[str, typer.Argument(help="The question; <region1> is the first --region.", show_default=False)],
    region: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A box x0,y0,x1,y1, an outline 'x,y x,y x,y', or a mask picture; once a region."),
    ] = None,
    model: Annotated[str, typer.Option(help="nano, a folder or hf:REPO_OR_DIR, or api:MODEL@BASE_URL.")] = "nano",
    save_marked: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write the picture with its numbered marks.", show_default=False),
    ] = None,
    max_new_tokens: NewTokens = 768,
    key_variable: Key = "OPENAI_API_KEY",
) -> None:
    """Ask one question about one picture; the answer is shown while it is written."""
    from spatialreasoner.app import terminal

    terminal.ask(
        terminal.AskConfig(
            image=str(image), question=question, regions=tuple(region or ()), model=model,
            save_marked=None if save_marked is None else str(save_marked), max_new_tokens=max_new_tokens,
            key_variable=key_variable,
        )
    )  # fmt: skip


COST_WITHOUT_ASKING = 1.0
"""What may cost more, in dollars, is asked about first."""


def _agree(yes: bool, forecast: Forecast) -> bool:
    """Show what a search or judging may take, and ask where it may be expensive."""
    typer.echo(
        f"at least {forecast.least_calls}, at most {forecast.most_calls} calls, {forecast.most_tokens} tokens, "
        f"{forecast.most_cost:.2f} dollars",
        err=True,
    )
    if yes or forecast.most_cost <= COST_WITHOUT_ASKING:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(f"this may cost {forecast.most_cost:.2f} dollars; pass --yes to agree, or set --max-cost")
    return typer.confirm("Go on?", err=True)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    run(app, arguments)


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its code: 0 done, 1 failed while working, 2 invalid user input.

    Args:
        app: The commands.
        arguments: What was given; None reads `sys.argv`.
    """
    for sent, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        signal.signal(sent, partial(_stop, code))
    try:
        app(args=arguments)
    except (InputError, MissingExtraError) as error:
        _fail(str(error), 2)
    except SpatialReasonerError as error:
        _fail(str(error), 1)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA_OF:
            raise
        _fail(f"this needs {error.name!r}, which is not installed: pip install 'spatialreasoner[{_EXTRA_OF[error.name]}]'", 2)
    sys.exit(0)


def _stop(code: int, *_: object) -> NoReturn:
    """End by SystemExit, so that `finally` blocks run and files are closed."""
    typer.echo("stopped; the same command goes on where it was", err=True)
    logging.getLogger("asyncio").disabled = True  # it would tell of the task that this is raised in, with a traceback
    sys.exit(code)


_EXTRA_OF = {
    **dict.fromkeys(("torch", "transformers", "trl", "peft", "datasets", "accelerate"), "train"),
    **dict.fromkeys(("openai", "aiolimiter", "tenacity", "genai_prices"), "api"),
    "gradio": "app",
}
"""The extra that installs an optional library."""


def _fail(message: str, code: int) -> NoReturn:
    """End with one line that holds no control character: what came may be quoted in it, and must not steer a terminal."""
    shown = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in " ".join(message.split()))
    typer.echo(f"error: {shown}", err=True)
    sys.exit(code)
