"""A frozen vision tower that runs once per image and run, its features read back from disk after that.

A call of the tower is taken apart into its images, each of which is computed separately, so that its features are the same
bits whatever batch it is in. Only those of the tower's outputs are kept that the model reads, which the first call shows: a
LLaVA asks for all hidden states of its tower and reads one of them.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from spatialreasoner.training.feature_store import FeatureStore, input_digest

Call = tuple[list[Any], dict[str, Any]]
"""Arguments of the tower, by place and by name."""

_OF_THE_LANGUAGE_MODEL = frozenset({"use_cache", "output_router_logits", "logits_to_keep", "num_items_in_batch"})
"""Arguments that some families hand on to their tower, which has no use for them: features do not depend on them."""


class StoredTower:
    """Stands in for the forward pass of a frozen tower.

    Args:
        compute: The forward pass.
        store: Where features are kept.
        models: The models without their heads that call the tower; the first call of one shows what is read.
    """

    def __init__(self, compute: Callable[..., Any], store: FeatureStore, models: Sequence[torch.nn.Module]) -> None:
        self._compute = compute
        self._names = set(inspect.signature(compute).parameters)
        self._store = store
        self._read: list[str] | None = None  # names of the outputs that are kept, once they are known
        self._shape: Any = None  # an output, whose leaves are replaced by those on file
        self._axes: dict[str, int] | None = None  # along which images follow each other, once several came in one call
        self._pending: list[tuple[str, Any]] = []
        self._watch = _Watch()
        self._hooks = [
            hook
            for model in models
            for hook in (
                model.register_forward_pre_hook(self._begin),
                model.register_forward_hook(self._end, always_call=True),
            )
        ]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The tower's output."""
        taken = {name: each for name, each in kwargs.items() if self._takes(name, each)}
        calls = per_image(args, taken)
        if calls is None or (len(calls) > 1 and self._axes == {}):
            return self._compute(*args, **kwargs)
        found = [self._one(call) for call in calls]
        if len(found) > 1 and self._axes is None:
            with torch.no_grad():
                self._axes = axes_of_images(found, self._compute(*args, **taken))
            if not self._axes:
                return self._compute(*args, **kwargs)
        joined = _joined(found, self._axes or {})
        if self._read is None and self._watch.active:
            self._watch.follow(leaves(joined))
        return joined

    def _takes(self, name: str, value: Any) -> bool:
        """Whether an argument is of concern to the tower: a tensor that it names, or plain values not of the language model."""
        if name in _OF_THE_LANGUAGE_MODEL and name not in self._names:
            return False
        if isinstance(value, Tensor):
            return name in self._names
        values: Sequence[object] = value if isinstance(value, list | tuple) else [value]  # a list: of layers that are wanted
        return all(isinstance(each, bool | int | float | str | None) for each in values)

    def _one(self, call: Call) -> Any:
        key = input_digest([*call, _autocast()])
        if self._read is not None:
            device = next(each for each in (*call[0], *call[1].values()) if isinstance(each, Tensor)).device
            kept = self._store.get(key, self._read, device)
            if kept is not None:
                return _filled(self._shape, kept)
        again = next((output for known, output in self._pending if known == key), None)
        if again is not None:  # twice in one call, before it is known what is kept
            return again
        with torch.no_grad():
            output = self._compute(*call[0], **call[1])
        if self._read is not None:
            self._keep(key, output)
        elif self._watch.active:
            self._pending.append((key, output))
        return output

    def _keep(self, key: str, output: Any) -> None:
        named = leaves(output)
        self._store.put(key, {name: named[name] for name in self._read or ()})

    def _begin(self, *_: Any) -> None:
        self._watch.start()

    def _end(self, *_: Any) -> None:
        """Now it is known what the model reads: keep what was computed meanwhile, and look no more."""
        self._watch.stop()
        if not self._pending:
            return
        read = self._watch.read()
        if read:
            self._read, self._shape = sorted(read), self._pending[0][1]
            for key, output in self._pending:
                self._keep(key, output)
        self._pending = []
        if read:
            for hook in self._hooks:
                hook.remove()


def _autocast() -> list[str]:
    return [str(torch.get_autocast_dtype(kind)) for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]


class _Watch(TorchDispatchMode):
    """Sees which of some tensors any operation takes."""

    def __init__(self) -> None:
        super().__init__()
        self.active = False
        self._followed: dict[int, str] = {}
        self._kept: list[Tensor] = []  # alive, so that no other tensor comes to lie where they do
        self._seen: set[str] = set()

    def start(self) -> None:
        if not self.active:
            self.active = True
            self.__enter__()

    def stop(self) -> None:
        if self.active:
            self.active = False
            self.__exit__(None, None, None)

    def follow(self, named: Mapping[str, Tensor]) -> None:
        self._kept = list(named.values())
        self._followed = {each.untyped_storage().data_ptr(): name for name, each in named.items() if each.numel()}
        self._seen = set()

    def read(self) -> set[str]:
        found, self._kept, self._followed = self._seen, [], {}
        return found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._followed:
            for each in _tensors([*args, *(kwargs or {}).values()]):
                name = self._followed.get(each.untyped_storage().data_ptr())
                if name is not None:
                    self._seen.add(name)
        return func(*args, **(kwargs or {}))


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def per_image(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Call] | None:
    """A call of a tower as one call per image; None if it cannot be told which argument is of which image.

    Args:
        args: Arguments by place: the images first, along their first axis; or all their patches, and `grid_thw` says
            how many each has.
        kwargs: Arguments by name.
    """
    tensors = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
    if not tensors or any(each.requires_grad or not each.dim() for each in tensors):
        return None
    grid = kwargs.get("grid_thw")
    if isinstance(grid, Tensor):
        sizes = grid.prod(-1).tolist()
        count, whole = len(sizes), sum(sizes)
    else:
        count = whole = len(tensors[0])
        sizes = [1] * count

    def part(value: Any, index: int) -> Any:
        if not isinstance(value, Tensor):
            return value
        if len(value) == whole:
            return value.split(sizes)[index]
        if len(value) == count:
            return value[index : index + 1]
        raise ValueError

    try:
        return [
            ([part(each, i) for each in args], {name: part(each, i) for name, each in kwargs.items()}) for i in range(count)
        ]
    except ValueError:
        return None


def leaves(output: Any, name: str = "output") -> dict[str, Tensor]:
    """The tensors of an output, by where they are in it."""
    if isinstance(output, Tensor):
        return {name: output}
    return {key: each for place, part in _parts(output) for key, each in leaves(part, f"{name}.{place}").items()}


def _parts(output: Any) -> list[tuple[str, Any]]:
    if isinstance(output, Mapping):
        return [(str(key), value) for key, value in output.items()]
    if isinstance(output, list | tuple):
        return [(str(index), value) for index, value in enumerate(output)]
    if dataclasses.is_dataclass(output):
        return [(each.name, getattr(output, each.name)) for each in dataclasses.fields(output)]
    return []


def _rebuilt(output: Any, parts: Sequence[Any]) -> Any:
    """An output of the same kind with other parts."""
    if isinstance(output, Mapping):
        return type(output)(**dict(zip(output, parts, strict=True)))  # pyright: ignore[reportCallIssue]
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*parts)
    if isinstance(output, list | tuple):
        return type(output)(parts)
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        names = [each.name for each in dataclasses.fields(output)]
        return dataclasses.replace(output, **dict(zip(names, parts, strict=True)))
    return output


def axes_of_images(found: Sequence[Any], whole: Any) -> dict[str, int]:
    """Along which axis of each tensor of a tower's output several images follow each other.

    Most towers have an image per row; Pixtral's lays the patches of all images along one row.

    Args:
        found: The outputs for single images; tensors that are not kept are empty.
        whole: The output for all of them.

    Returns:
        The axes by where the tensors are in the output; empty if some of them cannot be told.
    """
    parts = [leaves(each) for each in found]
    axes = {name: _axis([part[name] for part in parts], each) for name, each in leaves(whole).items() if parts[0][name].numel()}
    return {} if None in axes.values() else {name: axis for name, axis in axes.items() if axis is not None}


def _axis(parts: Sequence[Tensor], whole: Tensor) -> int | None:
    for axis in range(whole.dim()):
        sizes = [[*part.shape[:axis], *part.shape[axis + 1 :]] for part in (*parts, whole)]
        if sum(part.shape[axis] for part in parts) == whole.shape[axis] and all(size == sizes[0] for size in sizes):
            return axis
    return None


def _joined(outputs: Sequence[Any], axes: Mapping[str, int], name: str = "output") -> Any:
    """One output of several of the same kind, each tensor joined along its axis."""
    if isinstance(outputs[0], Tensor):
        return outputs[0] if len(outputs) == 1 else torch.cat([*outputs], dim=axes.get(name, 0))
    parts = [_parts(each) for each in outputs]
    return _rebuilt(
        outputs[0],
        [_joined([part for _, part in same], axes, f"{name}.{same[0][0]}") for same in zip(*parts, strict=True)],
    )


def _filled(shape: Any, kept: Mapping[str, Tensor], name: str = "output") -> Any:
    """An output of the kind of `shape` with the tensors that were kept, the others empty."""
    if isinstance(shape, Tensor):
        return kept[name] if name in kept else shape.new_empty(0)
    return _rebuilt(shape, [_filled(part, kept, f"{name}.{place}") for place, part in _parts(shape)])
