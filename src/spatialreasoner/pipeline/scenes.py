"""The stage `scenes`: images with regions, depth and cameras, made or read from what there is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet
from spatialreasoner.pipeline.inputs import PathLike, paths_of
from spatialreasoner.pipeline.result import Result

if TYPE_CHECKING:
    from spatialreasoner.scenes.importers import FrameOptions


def make_scenes(
    *,
    out: PathLike,
    count: int = 100,
    seed: int = 0,
    width: int = 128,
    height: int = 128,
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Make synthetic rooms with tables and objects on them, with exact depth, masks and true sizes.

    Args:
        out: The folder to write: new, empty, or begun with the same settings.
        count: Number of scenes.
        seed: Seed of every random choice; the same seed gives the same bytes.
        width: Width of the images, pixels.
        height: Height of the images, pixels.
        progress: Displays the progress; None displays nothing.

    Raises:
        ConfigError: If a setting is out of range, or the folder holds something else.
        WorkError: If the output cannot be written.
    """
    from spatialreasoner.scenes import synthetic

    config = synthetic.SyntheticConfig(count=count, seed=seed, width=width, height=height)
    with (progress or quiet)(f"render {count} scenes", count) as advance:
        return _result(out, synthetic.write_synthetic(config, os.fspath(out), progress=advance))


def read_rgbd(folders: PathLike | Sequence[PathLike], *, out: PathLike, progress: ShowProgress | None = progress_bar) -> Result:
    """Read real photos with measured depth (the RGB-D folder format).

    Args:
        folders: A folder with image, depth.png and scene.json, or several.
        out: The folder to write.
        progress: Displays the progress; None displays nothing.

    Raises:
        InputError: If a folder is unusable, or two have the same name.
        WorkError: If the output cannot be written.
    """
    from spatialreasoner.scenes import rgbd

    paths = paths_of(folders)
    with (progress or quiet)(f"read {len(paths)} folders", len(paths)) as advance:
        return _result(out, rgbd.write_rgbd(paths, Path(out), progress=advance))


def read_photos(
    folder: PathLike,
    *,
    out: PathLike,
    depth: str,
    masks: str,
    field_of_view: float | None = None,
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Make scenes from any photos: depth and masks from models, the camera from EXIF or a given field of view.

    Args:
        folder: The photos.
        out: The folder to write; call it again to resume with the remaining photos.
        depth: A depth-estimation model of transformers: a folder or a repository.
        masks: A SAM model of transformers, or the file or folder of a label tool.
        field_of_view: Horizontal field of view in degrees, for photos without a focal length in EXIF.
        progress: Displays the progress; None displays nothing.

    Raises:
        InputError: If there are no photos, one is unreadable or has no known camera, or `out` holds something else.
        WorkError: If the output cannot be written.
    """
    from spatialreasoner.inference.backends.depth import TransformersDepth
    from spatialreasoner.inference.backends.masks import TransformersMasks
    from spatialreasoner.scenes import images
    from spatialreasoner.scenes.annotations.finder import AnnotatedRegions, is_annotations

    photos = Path(folder)
    config = images.ImagesConfig(folder=str(photos), depth=depth, masks=masks, field_of_view=field_of_view)
    if is_annotations(masks):
        finder = AnnotatedRegions(masks, photos=photos)
        finder.tell_unmatched(list(images.photos_of(photos).values()))
    else:
        finder = TransformersMasks(masks)
    with (progress or quiet)(f"read the photos of {photos}", None) as advance:
        return _result(out, images.write_photos(config, Path(out), TransformersDepth(depth), finder, progress=advance))


def read_capture(
    path: PathLike,
    *,
    out: PathLike,
    kind: str = "auto",
    every: int = 1,
    limit: int | None = 100,
    options: FrameOptions | None = None,
    regions: PathLike | None = None,
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Read the files of a depth camera, a phone or a data set as scenes.

    Args:
        path: The capture: a folder, an archive or a file.
        out: The folder to write: new, empty, or begun by the same call.
        kind: The kind of capture; "auto" detects it from the files.
        every: Take every Nth frame.
        limit: Take at most this many frames, evenly spread; None for all.
        options: Further options, such as the camera.
        regions: A label tool's file or folder with regions for the scenes; None uses only those of the capture.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result. A frame that cannot be used is not an error: `summary["left_out"]` gives the reason, by the frame's name,
        and the result is complete. `details` is the importer's own record.

    Raises:
        InputError: If the kind of capture is unknown, none of its frames can be used, or `regions` names none of them.
        MissingExtraError: If its reader needs a library that is not installed.
        WorkError: If the output cannot be written.
    """
    from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
    from spatialreasoner.scenes.importers import import_scenes

    with (progress or quiet)(f"import {os.fspath(path)}", None) as advance:
        done = import_scenes(
            os.fspath(path),
            kind,
            out=os.fspath(out),
            every=every,
            limit=limit,
            options=options,
            regions=None if regions is None else AnnotatedRegions(os.fspath(regions)),
            progress=advance,
        )
    return _result(out, done.scenes, {"frames": done.frames, "kind": done.kind, "left_out": dict(done.left_out)}, done)


def read_benchmark(
    source: PathLike, *, out: PathLike, images: PathLike = "", progress: ShowProgress | None = progress_bar
) -> Result:
    """Read SpatialRGPT-Bench from official files: scenes, and questions to generate and score on.

    Args:
        source: Its .json, .parquet, or folder.
        out: The folder to write; the questions are in its `questions.jsonl`.
        images: The folder of its images, if they are not beside the file.
        progress: Displays the progress; None displays nothing.

    Raises:
        InputError: If the file or an image is missing, or a row is not an item of the benchmark.
        MissingExtraError: If a Parquet file is given and pyarrow is not installed.
        WorkError: If the output cannot be written.
    """
    from spatialreasoner.evaluation.benchmark import BenchmarkConfig, write_benchmark

    config = BenchmarkConfig(source=os.fspath(source), images=os.fspath(images))
    with (progress or quiet)(f"read {config.source}", None) as advance:
        made = write_benchmark(config, Path(out), progress=advance)
    files = (Path(out) / "scenes.jsonl", Path(out) / "questions.jsonl")
    return Result(stage="scenes", out=Path(out), files=files, count=made.images, summary={"questions": made.questions})


def _result(out: PathLike, count: int, summary: dict[str, object] | None = None, details: object = None) -> Result:
    folder = Path(out)
    files = (folder / "scenes.jsonl",)
    return Result(stage="scenes", out=folder, files=files, count=count, summary=summary or {}, details=details)


make_scenes_async = asynchronous(make_scenes)
read_rgbd_async = asynchronous(read_rgbd)
read_photos_async = asynchronous(read_photos)
read_capture_async = asynchronous(read_capture)
read_benchmark_async = asynchronous(read_benchmark)
