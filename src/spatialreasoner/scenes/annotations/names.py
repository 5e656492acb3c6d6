"""Which annotated image is which photo.

Tools name images by what they know: a path inside a project, a path of another machine with backslashes, an upload with a
prefix, a web address. Two names mean the same image where one ends with the whole of the other, folder by folder. Where that
leaves several, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from spatialreasoner.core.errors import SceneError

_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that is uploaded."""


def clean_name(name: str) -> str:
    r"""An image's name as a path with slashes: without scheme and host, drive, query, and without Label Studio's own folders.

    >>> clean_name(r"C:\photos\a\b.jpg"), clean_name("/data/local-files/?d=set%201/b.jpg")
    ('photos/a/b.jpg', 'set 1/b.jpg')
    >>> clean_name("s3://bucket/a/b.jpg"), clean_name("/data/upload/3/0a1b2c3d-b.jpg")
    ('a/b.jpg', 'b.jpg')
    """
    name = re.sub(r"^[A-Za-z]:(?=[\\/])", "", name.strip()).replace("\\", "/")
    if "local-files/?d=" in name:
        name = parse_qs(urlsplit(name).query).get("d", [name])[0]
    elif re.match(r"^[a-z][a-z0-9+.-]*://", name, re.IGNORECASE):
        name = unquote(urlsplit(name).path)
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if "upload" in parts[:-1]:
        parts = [_UPLOAD.sub("", parts[-1])]
    return "/".join(parts)


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Which annotated image is which photo.

    Attributes:
        pairs: The annotated name of each photo that has one.
        photos: Photos that the file does not name, in order.
        names: Annotated names that no photo has, in order.
    """

    pairs: Mapping[str, str]
    photos: tuple[str, ...]
    names: tuple[str, ...]

    def told(self, file: str) -> list[str]:
        """What found no partner, one line each for photos and for names."""
        lists = (
            (self.photos, f"photos that {file} does not name"),
            (self.names, f"images that {file} names, of which no photo is here"),
        )
        return [f"{len(found)} {what}: {shortened(found)}" for found, what in lists if found]


def shortened(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


class Names:
    """The images that a file names, ready to be looked up.

    Args:
        names: Each name, and whether it lacks the photo's suffix.

    Raises:
        SceneError: If two names are one after cleaning, so that neither photo nor person can tell them apart.
    """

    def __init__(self, names: Iterable[tuple[str, bool]], *, where: str) -> None:
        self._where = where
        self._by_base: dict[str, list[tuple[str, tuple[str, ...], bool]]] = {}
        seen: dict[tuple[tuple[str, ...], bool], str] = {}
        for name, bare in names:
            parts = tuple(clean_name(name).split("/"))
            if (parts, bare) in seen:
                raise SceneError(
                    f"{where}: expected every image once; {seen[parts, bare]!r} and {name!r} are the same; rename one"
                )
            seen[parts, bare] = name
            self._by_base.setdefault(parts[-1], []).append((name, parts, bare))

    def find(self, photo: str | Path, folder: str | Path | None = None) -> str | None:
        """The annotated name of a photo, or None.

        Args:
            photo: Path of the photo.
            folder: The folder that photos are named relative to; by default the photo's own.

        Raises:
            SceneError: If several names fit equally well.
        """
        path = PurePosixPath(Path(photo).absolute().as_posix())
        root = Path(photo).absolute().parent if folder is None else Path(folder).absolute()
        relative = PurePosixPath(Path(photo).absolute().relative_to(root).as_posix()) if path.is_relative_to(root) else path
        ranked = [(self._fit(parts, bare, path, relative), name) for name, parts, bare in self._like(path)]
        best = max((fit for fit, _ in ranked), default=(0, 0))
        if best == (0, 0):
            return None
        found = [name for fit, name in ranked if fit == best]
        if len(found) > 1:
            raise SceneError(
                f"{self._where}: expected one image that can be {relative}; {shortened(found)} all can; "
                "name the folder that the names are relative to, or keep the photos in the folders that the names give"
            )
        return found[0]

    def match(self, photos: Sequence[str | Path], folder: str | Path | None = None) -> Matches:
        """Find every photo, and what is left over.

        Raises:
            SceneError: If several names fit one photo, or one name fits several photos, equally well.
        """
        pairs: dict[str, str] = {}
        taken: dict[str, str] = {}
        for photo in map(str, photos):
            name = self.find(photo, folder)
            if name is None:
                continue
            if name in taken:
                raise SceneError(
                    f"{self._where}: {name!r} can be {taken[name]} or {photo}; write the photos' folders into the names"
                )
            pairs[photo], taken[name] = name, photo
        known = [name for same in self._by_base.values() for name, _, _ in same]
        return Matches(
            pairs=pairs,
            photos=tuple(photo for photo in map(str, photos) if photo not in pairs),
            names=tuple(name for name in known if name not in taken),
        )

    def _like(self, path: PurePosixPath) -> list[tuple[str, tuple[str, ...], bool]]:
        whole = [entry for entry in self._by_base.get(path.name, []) if not entry[2]]
        bare = [entry for entry in self._by_base.get(path.stem, []) if entry[2]]
        return [*whole, *bare]

    @staticmethod
    def _fit(parts: tuple[str, ...], bare: bool, path: PurePosixPath, relative: PurePosixPath) -> tuple[int, int]:
        """How well a name fits: best where it is the relative path, then where the path ends with it, then the other way."""
        whole = (*path.parts[:-1], path.stem if bare else path.name)
        short = (*relative.parts[:-1], path.stem if bare else path.name)
        if parts == short:
            return (3, 0)
        if whole[-len(parts) :] == parts:
            return (2, len(parts))
        return (1, 0) if parts[-len(short) :] == short else (0, 0)
