"""Processors of families that also read videos, on machines without torchvision, which their video half alone needs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, MissingExtraError
from spatialreasoner.vlm.declared import refuse_layers

if TYPE_CHECKING:
    from transformers import ProcessorMixin

LIBRARIES = ("torchvision", "timm", "num2words")
"""What processors or vision towers of some families need. Only the last is an extra, `smolvlm`: torchvision, which timm needs,
breaks a torch of another build."""

MOST_SIDE, MOST_SHORTER_SIDE, FEWEST_PIXELS = 4096, 1024, 2**24
"""The most that an image processor may ask for: a side; the shorter side, whose image may be 200 times as long; and pixels of
the smallest image."""

PIXELS = 100_000
"""A `longest_edge` beyond it counts pixels of the whole image, as in Qwen's processors, and so does `shortest_edge`."""

_VIDEO = "video_processor"
_VIDEO_FILE = "video_preprocessor_config.json"


def load_processor(source: str | Path) -> ProcessorMixin:
    """Load a model's processor; without torchvision, one that reads images alone.

    Raises:
        OSError: If the model does not exist.
        ConfigError: If its configuration declares more layers than its weights can have.
        MissingExtraError: If the processor needs another library that is not installed.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
    from transformers.utils.import_utils import is_torchvision_available

    refuse_layers(source)  # processors look at the configuration, too
    try:
        return AutoProcessor.from_pretrained(source, trust_remote_code=False)
    except ValueError as error:  # image processors that only torchvision runs do not raise ImportError
        if "torchvision" not in str(error) or is_torchvision_available():
            raise
        raise missing_library(source, error) from error
    except ImportError as error:
        missing = error
        known: Any = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(source, trust_remote_code=False)), None)
        if known is None or _VIDEO not in known.get_attributes() or is_torchvision_available():
            raise missing_library(source, error) from error
    try:
        return image_only(known, _video_settings(source)).from_pretrained(source)
    except ImportError as error:
        raise missing_library(source, error) from error
    except AttributeError as error:  # of a class that reads its video half as soon as it is made, MiniCPM-V's
        if _VIDEO not in str(error):
            raise
        raise missing_library(source, missing) from error


def image_only(processor: type[ProcessorMixin], settings: Mapping[str, Any]) -> Any:
    """A processor's class, under the same name, that has no video half; images are treated alike.

    Args:
        processor: The class.
        settings: The video half's; they are saved with the rest, so that the model keeps it where it can be loaded.
    """
    from transformers import ProcessorMixin

    names = processor.get_attributes()
    place = names.index(_VIDEO) if _VIDEO in names else len(names)

    def get_attributes(cls: Any) -> list[str]:
        return [name for name in super(made, cls).get_attributes() if name != _VIDEO]

    def get_arguments(cls: Any, *args: Any, **options: Any) -> list[Any]:
        found = list(super(made, cls)._get_arguments_from_pretrained(*args, **options))
        return [*found[:place], None, *found[place:]]  # some demand the part, if only as None

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        kept = [each for number, each in enumerate(args) if number != place]
        kwargs.pop(_VIDEO, None)
        super(without, self).__init__(*kept, **kwargs)

    def save_pretrained(self: Any, save_directory: str | Path, **options: Any) -> Any:
        with records.atomic_write(Path(save_directory) / _VIDEO_FILE) as file:
            json.dump(settings, file, indent=2)
        return super(made, self).save_pretrained(save_directory, **options)

    body = {
        "get_attributes": classmethod(get_attributes),
        "_get_arguments_from_pretrained": classmethod(get_arguments),
        "save_pretrained": save_pretrained,
    }
    without: Any = type("WithoutVideos", (ProcessorMixin,), {"__init__": init})  # called by the processor's own `__init__`
    made: Any = type(processor.__name__, (processor, without), body)
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


def refuse_large_images(processor: Any, source: str | Path) -> None:
    """Refuse settings by which an image of any size would be made large.

    Args:
        processor: The model's processor; one without an image processor passes.
        source: What to call the model in an error.

    Raises:
        ConfigError: If they are such.
    """
    images = getattr(processor, "image_processor", None)
    settings = {} if images is None else images.to_dict()
    for name in ("size", "crop_size", "pad_size", "min_pixels", "min_image_size"):
        sizes = settings.get(name)
        for side, value in (sizes if isinstance(sizes, Mapping) else {name: sizes}).items():
            if isinstance(value, int | float) and value > (most := _most(side, sizes)):
                raise ConfigError(
                    f"the image processor of {str(source)!r} makes images large: {name} has {side} {value:,}; expected at most "
                    f"{most:,}. Compare it with the one that the model's authors publish"
                )


def _most(side: str, sizes: Any) -> int | float:
    """The most that a setting may be: a side in pixels, or, where both are numbers of pixels, the fewest of an image."""
    if side in ("height", "width"):
        return MOST_SIDE
    if side == "shortest_edge":
        longest = sizes.get("longest_edge")
        return FEWEST_PIXELS if isinstance(longest, int) and longest > PIXELS else MOST_SHORTER_SIDE
    return FEWEST_PIXELS if side == "min_pixels" else math.inf


def missing_library(source: str | Path, error: Exception) -> MissingExtraError:
    """What to say where a model needs a library that is not installed."""
    said = str(error).lower()
    named = [name for name in LIBRARIES if name in said or (name == "torchvision" and "timm" in said)]  # timm imports it
    if not named:
        return MissingExtraError(f"the model {str(source)!r} needs a library that is not installed: {error}")
    hint = (
        " (the torchvision that belongs to the torch that is installed, from where that came from)"
        if "torchvision" in named
        else ""
    )
    wanted = " ".join("'spatialreasoner[smolvlm]'" if name == "num2words" else name for name in named)
    return MissingExtraError(
        f"the model {str(source)!r} needs {' and '.join(named)}, not installed here: pip install {wanted}{hint}"
    )
