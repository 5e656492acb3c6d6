"""Loading vision models as pipelines of transformers: safetensors alone, no remote code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from spatialreasoner.core.errors import ConfigError, MissingExtraError
from spatialreasoner.vlm.declared import within_weights
from spatialreasoner.vlm.safety import refuse_pickles


def load_pipeline(task: Literal["depth-estimation", "mask-generation"], source: str, **options: Any) -> Any:
    """Load a model for a task.

    Args:
        task: What the model is for.
        source: A folder, or the name of a repository on the Hub.
        options: Further arguments of `transformers.pipeline`.

    Raises:
        ConfigError: If the model does not exist, it is not for this task, or it could only be read by unpickling or by
            running its code.
        MissingExtraError: If transformers is not installed.
    """
    try:
        from transformers import pipeline
        from transformers.utils import logging
    except ImportError:
        raise MissingExtraError(
            "depth and mask models need transformers, which is not installed: pip install 'spatialreasoner[train]'"
        ) from None
    logging.disable_progress_bar()
    if Path(source).is_dir():
        refuse_pickles(source)
    try:
        with within_weights(source):
            return pipeline(task, model=source, trust_remote_code=False, model_kwargs={"use_safetensors": True}, **options)
    except ConfigError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(f"cannot load a model for {task} from {source!r}: {str(error)[:500]}") from error
