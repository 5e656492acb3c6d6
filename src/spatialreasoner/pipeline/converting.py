"""The stage `convert`: a released Sa2VA in transformers' own classes."""

from __future__ import annotations

import os
from pathlib import Path

from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet
from spatialreasoner.pipeline.inputs import PathLike
from spatialreasoner.pipeline.result import Result


def convert_model(folder: PathLike, *, out: PathLike, progress: ShowProgress | None = progress_bar) -> Result:
    """Convert a Sa2VA model (the architecture of SpatialReasoner-R1) for training and serving; none of its code is run.

    Args:
        folder: The folder of the released Sa2VA model.
        out: The folder to write; if it holds this model already converted, it is kept.
        progress: Shows the stage; None shows nothing.

    Returns:
        The result; its path is the model's.

    Raises:
        InputError: If the folder holds no Sa2VA that can be converted, or `out` something else.
        MissingExtraError: If its tokenizer needs protobuf, which is not installed.
        WorkError: If the output cannot be written.
    """
    from spatialreasoner.vlm.sa2va.convert import convert_sa2va

    with (progress or quiet)(f"convert {os.fspath(folder)}", None):
        made = convert_sa2va(os.fspath(folder), Path(out))
    return Result(stage="convert", out=made, files=(made,), count=1)


convert_model_async = asynchronous(convert_model)
