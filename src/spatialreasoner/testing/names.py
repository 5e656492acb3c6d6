"""Names of tiny models: `testing:FAMILY[,width=W][,layers=L][,image_size=S][,vocabulary=V]`; `tiny` means `testing:llava`."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from spatialreasoner.core.errors import ConfigError

PREFIX, ALIAS = "testing:", "tiny"
_LARGEST = 2**16
_DIGITS = len(str(_LARGEST))


@dataclass(frozen=True, kw_only=True)
class TinyModel:
    """A tiny model that is built when a run needs it.

    Attributes:
        family: One of `tiny_models.FAMILIES`.
        width: Size of hidden states.
        layers: Layers of the language model.
        image_size: Side of its images in pixels; a multiple of 28.
        vocabulary: Its tokens in addition to the special ones.
    """

    family: str = "llava"
    width: int = 64
    layers: int = 2
    image_size: int = 84
    vocabulary: int = 1024

    def __str__(self) -> str:
        """The name, with the sizes that are not the default."""
        sizes = (f",{name}={getattr(self, name)}" for name in TINY_SIZES if getattr(self, name) != getattr(TinyModel, name))
        return f"{PREFIX}{self.family}{''.join(sizes)}"


TINY_SIZES = tuple(each.name for each in fields(TinyModel))[1:]
"""What may follow the family."""


def tiny_named(name: str) -> TinyModel | None:
    """The tiny model of that name, or None if the name is not one of a tiny model.

    Raises:
        ConfigError: If a size is unknown or out of range.
    """
    if name == ALIAS:
        return TinyModel()
    if not name.startswith(PREFIX):
        return None
    family, *sizes = name.removeprefix(PREFIX).split(",")
    return sized(TinyModel(family=family), dict(_size(each, name) for each in sizes))


def sized(model: TinyModel, sizes: dict[str, int]) -> TinyModel:
    """The model with other sizes.

    Raises:
        ConfigError: If one is out of range.
    """
    for name, value in sizes.items():
        if not 0 < value <= _LARGEST:
            raise ConfigError(f"{name} of a tiny model must be in 1..{_LARGEST}; got {value}")
    if sizes.get("image_size", 28) % 28:
        raise ConfigError(f"image_size of a tiny model must be a multiple of 28; got {sizes['image_size']}")
    return replace(model, **sizes)


def _size(text: str, name: str) -> tuple[str, int]:
    size, _, value = text.partition("=")
    if size not in TINY_SIZES or not (value.isdecimal() and len(value) <= _DIGITS):
        raise ConfigError(
            f"expected {PREFIX}FAMILY and sizes among {', '.join(f'{each}=N' for each in TINY_SIZES)}; got {name[:80]!r}"
        )
    return size, int(value)
