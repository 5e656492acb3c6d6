"""Processors of families that also read videos, on machines without torchvision, which their video half alone needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import MissingExtraError

if TYPE_CHECKING:
    from transformers import ProcessorMixin

_VIDEO = "video_processor"
_VIDEO_FILE = "video_preprocessor_config.json"


def load_processor(source: str | Path) -> ProcessorMixin:
    """Load a model's processor; without torchvision, one that reads images alone.

    Raises:
        OSError: If the model does not exist.
        MissingExtraError: If the processor needs another library that is not installed.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
    from transformers.utils.import_utils import is_torchvision_available

    try:
        return AutoProcessor.from_pretrained(source, trust_remote_code=False)
    except ImportError as error:
        known: Any = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(source, trust_remote_code=False)), None)
        if known is None or _VIDEO not in known.get_attributes() or is_torchvision_available():
            raise _missing(source, error) from error
    try:
        return image_only(known, _video_settings(source)).from_pretrained(source)
    except ImportError as error:
        raise _missing(source, error) from error


def image_only(processor: type[ProcessorMixin], settings: Mapping[str, Any]) -> Any:
    """A processor's class, under the same name, that has no video half; images are treated alike.

    Args:
        processor: The class.
        settings: The video half's; they are saved with the rest, so that the model keeps it where it can be loaded.
    """

    def get_attributes(cls: Any) -> list[str]:
        return [name for name in super(made, cls).get_attributes() if name != _VIDEO]

    def get_arguments(cls: Any, *args: Any, **options: Any) -> list[Any]:
        return [*super(made, cls)._get_arguments_from_pretrained(*args, **options), None]

    def save_pretrained(self: Any, save_directory: str | Path, **options: Any) -> Any:
        with records.atomic_write(Path(save_directory) / _VIDEO_FILE) as file:
            json.dump(settings, file, indent=2)
        return super(made, self).save_pretrained(save_directory, **options)

    body = {
        "get_attributes": classmethod(get_attributes),
        "_get_arguments_from_pretrained": classmethod(get_arguments),  # some demand the third part, if only as None
        "save_pretrained": save_pretrained,
    }
    made: Any = type(processor.__name__, (processor,), body)
    return made


def _video_settings(source: str | Path) -> dict[str, Any]:
    """The settings of a processor's video half, in a file of their own or, since transformers 5, among the others."""
    from transformers.utils.hub import cached_file

    for name in ("processor_config.json", _VIDEO_FILE):
        found = cached_file(str(source), name, _raise_exceptions_for_missing_entries=False)
        content = {} if found is None else json.loads(Path(found).read_text("utf-8"))
        if settings := content if name == _VIDEO_FILE else content.get(_VIDEO, {}):
            return settings
    return {}


def _missing(source: str | Path, error: ImportError) -> MissingExtraError:
    return MissingExtraError(f"the processor of {str(source)!r} needs a library that is not installed: {error}")
