"""What config.json declares, held against what the files of weights hold, before as much memory is taken.

transformers builds a model by its configuration and compares the weights with it afterwards; what no file holds is made up.
So a configuration alone could ask for any memory. Its layers are compared first, since lists as long as their number are made
when it is read, and then each tensor as it gets a place in the model, on the meta device as a rule.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.vlm.hub import file_of_hub

CONFIG, WHOLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"

FEW_LAYERS = 256
"""Layers that any configuration may declare, whatever the files hold: lists of so many take no memory."""

MANY_TIMES = 2
"""How often a value of the files may stand in the model: embeddings that are also the head are stored once."""

FREE_VALUES = 2**24
"""Values that any model may have beside those of its files: buffers that are computed, such as masks of positions."""

FREE_TENSORS, TENSORS_EACH = 10_000, 8
"""Tensors that any model may have, and how many for each in the files: experts that are stored together, say."""

_PACKED = 4
"""Most values that a byte of whole numbers holds, where weights are quantized to 2 bits."""

_LAYERS = re.compile(r"(?!max_)(?:\w+_)?(?:layers?|depths?|blocks)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class HeldWeights:
    """What files of weights hold: numbers of tensors and of values."""

    tensors: int = 0
    values: int = 0


@dataclass(kw_only=True)
class _Declared:
    """What a model has so far that is being built.

    Attributes:
        source: The model's folder or repository.
        held: What its files hold.
        values: Values by module and name: a place is filled again when the weights are read.
        total: Their sum.
        problem: Why it was refused, if it was.
    """

    source: str
    held: HeldWeights
    values: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    total: int = 0
    problem: ConfigError | None = None

    def add(self, module: Any, name: str, value: Any) -> None:
        """Count a tensor that gets a place.

        Raises:
            ConfigError: If the model has become larger than its files allow.
        """
        place = id(module), name
        self.total += value.numel() - self.values.get(place, 0)
        self.values[place] = value.numel()
        if self.total > MANY_TIMES * self.held.values + FREE_VALUES:
            self.refuse(
                f"a larger model than its weights are: with {name!r} of a {type(module).__name__}, {list(value.shape)}, it "
                f"comes to {self.total:,} values; the files hold {self.held.values:,}"
            )
        if len(self.values) > TENSORS_EACH * self.held.tensors + FREE_TENSORS:
            self.refuse(f"more than {len(self.values) - 1:,} tensors; the files hold {self.held.tensors:,}")

    def refuse(self, declared: str) -> NoReturn:
        """Keep why, since pipelines of transformers catch errors, try other classes, and tell something else in the end."""
        self.problem = ConfigError(f"the configuration of {self.source!r} declares {declared}. {_ADVICE}")
        raise self.problem


_ADVICE = "Use the config.json that belongs to these weights, or copy the model again"
_BUILDING = threading.local()
_HOOKING = threading.Lock()
_HOOKS: list[Any] = []


@contextmanager
def within_weights(source: str | Path, *, adapter: bool = False) -> Generator[None]:
    """Refuse to build a model in this thread that is much larger than its files of weights.

    Args:
        source: A folder, or the name of a repository on the Hub, whose weights are fetched if need be.
        adapter: Whether an adapter is put on a model; else its configuration is looked at first.

    Raises:
        ConfigError: If `config.json` declares more than the files hold.
    """
    _hook()
    held = held_weights(source)
    if not adapter:
        refuse_layers(source, held)
    before = getattr(_BUILDING, "model", None)
    building = _BUILDING.model = _Declared(source=str(source), held=held)
    try:
        yield
    except Exception:
        if building.problem is not None:
            raise building.problem from None
        raise
    finally:
        _BUILDING.model = before


def refuse_layers(source: str | Path, held: HeldWeights | None = None) -> None:
    """Refuse a configuration of more layers than there are tensors, before anything reads it that makes lists of them.

    Args:
        source: A folder, or the name of a repository on the Hub.
        held: What its weights hold; by default they are looked at, where the configuration has many layers.

    Raises:
        ConfigError: If it declares more.
    """
    path = _file_of(source, CONFIG)
    try:
        config = {} if path is None else records.read_json(path, dict[str, Any])
    except InputError:
        return  # who reads the model says what is wrong with it
    for name, count in _numbers(config):
        if count > FEW_LAYERS:
            held = held_weights(source) if held is None else held
            if count > held.tensors:
                raise ConfigError(
                    f"the configuration of {str(source)!r} declares {name} {count:,}, more than its weights can have: the "
                    f"files hold {held.tensors:,} tensors. {_ADVICE}"
                )


def held_weights(source: str | Path) -> HeldWeights:
    """What a model's files of weights hold, by their headers; nothing of a file that is damaged, which is told later."""
    from safetensors import SafetensorError, safe_open

    tensors = values = 0
    for path in _weights_of(source):
        try:
            with safe_open(path, "np") as file:
                for name in file.keys():  # noqa: SIM118 - it is not a mapping
                    part = file.get_slice(name)
                    count = math.prod(part.get_shape())
                    tensors += 1
                    values += count * _width(part.get_dtype())
        except (OSError, SafetensorError):
            continue
    return HeldWeights(tensors=tensors, values=values)


def _width(dtype: str) -> int:
    """How many values one number of a type may stand for."""
    sizes = {"U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8}
    return sizes[dtype] * _PACKED if dtype in sizes else 1


def _numbers(config: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, int]]:
    """Numbers of layers in a configuration and those inside of it, by their names."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{at}{name}.")
        elif _LAYERS.fullmatch(name):
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, int | float) and math.isfinite(each):
                    yield f"{at}{name}", int(each)


def _weights_of(source: str | Path) -> list[Path]:
    if Path(source).is_dir():
        return sorted(path for path in Path(source).glob("*.safetensors") if path.is_file())
    whole = _file_of(source, WHOLE)
    if whole is not None:
        return [whole]
    index = _file_of(source, INDEX)
    if index is None:
        return []
    try:
        names = set(records.read_json(index, dict[str, Any])["weight_map"].values())
    except (InputError, KeyError, AttributeError, TypeError):
        return []
    return [path for name in sorted(map(str, names)) if (path := _file_of(source, name)) is not None]


def _file_of(source: str | Path, name: str) -> Path | None:
    """A file of a folder, or of a repository, from which it is fetched; None if there is none."""
    if Path(source).is_dir():
        path = Path(source) / name
        return path if path.is_file() else None  # reading a pipe would not end
    return file_of_hub(source, name)


def _hook() -> None:
    """Be told of every tensor that gets a place in a module; once, as registering is not safe beside a module being built."""
    from torch.nn.modules.module import (
        register_module_buffer_registration_hook,
        register_module_parameter_registration_hook,
    )

    with _HOOKING:
        if not _HOOKS:
            _HOOKS.extend(
                register(_count)
                for register in (register_module_parameter_registration_hook, register_module_buffer_registration_hook)
            )


def _count(module: Any, name: str, value: Any) -> None:
    from torch.nn.parameter import is_lazy

    building = getattr(_BUILDING, "model", None)
    if building is not None and value is not None and not is_lazy(value):
        building.add(module, name, value)
