"""Single frames of a video, for the captures that keep colour in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.importers.decode import needs
from spatialreasoner.scenes.masks import MAX_PIXELS


def frames_at(path: Path, places: Sequence[int], *, kind: str) -> Iterator[Image.Image]:
    """Frames of a video by their places from 0, ascending, as the sensor took them: a rotation tag is ignored.

    Raises:
        MissingExtraError: If the library that decodes video is not installed.
        SceneError: If it is not a video, or ends before a frame.
    """
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise needs("av", kind) from None
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.width * stream.height > MAX_PIXELS:
                raise SceneError(f"{path.name}: expected at most {MAX_PIXELS} pixels; got {stream.width} x {stream.height}")
            stream.thread_type = "AUTO"
            decoded = enumerate(container.decode(stream))
            for place in places:
                yield _next(decoded, place, path)
    except (FFmpegError, IndexError) as error:
        raise SceneError(f"{path.name}: expected a video; {error}") from None


def _next(decoded: Iterator[tuple[int, object]], place: int, path: Path) -> Image.Image:
    last = -1
    for last, frame in decoded:
        if last == place:
            return Image.fromarray(frame.to_ndarray(format="rgb24"))  # pyright: ignore[reportAttributeAccessIssue]
    raise SceneError(f"{path.name}: expected a frame {place}; the video ends with {last}")
