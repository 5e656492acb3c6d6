"""Images: bombs, turned ones, odd modes, animations, torn files, and what only calls itself an image."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reliability.trial import Act, Case, Read
from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.images import ImageOpener
from spatialreasoner.core.errors import InputError
from spatialreasoner.scenes.files import read_image

SIZE = (6, 4)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112


def small(mode: str = "RGB") -> Image.Image:
    """An image of 6 x 4 pixels whose corners differ."""
    ramp = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    image = Image.fromarray(np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=-1))
    return image if mode == "RGB" else image.convert(mode)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)


def png_header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """The beginning of a PNG of any size."""
    return _SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def exif(orientation: object) -> bytes:
    """EXIF data with an orientation, right or wrong."""
    data = Image.Exif()
    data[_ORIENTATION] = orientation
    return data.tobytes()


def numbers(values: object, kind: str = "TIFF", dtype: type = np.float32) -> bytes:
    """A grey image of 6 x 4 numbers."""
    return saved(Image.fromarray(np.broadcast_to(np.asarray(values, dtype=dtype), (4, 6)).copy()), kind)


def _bombs() -> Iterator[tuple[str, bytes]]:
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    for width, height in ((50_000, 50_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (8001, 8000), (65_535, 65_535)):
        yield f"PNG that claims {width} x {height}", png_header(width, height) + pixels
    yield (
        "GIF that claims 65535 x 65535",
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
    )
    bitmap = struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    yield "BMP that claims 60000 x 60000", b"BM" + struct.pack("<IHHI", 200, 0, 0, 54) + bitmap + b"\0" * 100
    tiff = saved(small(), "TIFF")
    for tag in (256, 257):
        place = tiff.find(struct.pack("<HH", tag, 4))
        tiff = tiff[: place + 8] + struct.pack("<I", 100_000) + tiff[place + 12 :] if place > 0 else tiff
    yield "TIFF that claims 100000 x 100000", tiff
    text = zlib.compress(b"a" * 100_000_000, 9)
    yield "PNG with 100 MB of packed text", png_header(1, 1) + chunk(b"zTXt", b"k\0\0" + text) + pixels
    yield "PNG with 100 MB of packed international text", png_header(1, 1) + chunk(b"iTXt", b"k\0\1\0\0\0" + text) + pixels
    yield "PNG with a packed colour profile of 100 MB", png_header(1, 1) + chunk(b"iCCP", b"p\0\0" + text) + pixels


def _torn() -> Iterator[tuple[str, bytes]]:
    image = small().resize((60, 40))
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
        whole = saved(image, kind)
        for share in (0.1, 0.5, 0.9):
            yield f"{kind} cut at {share:.0%}", whole[: int(len(whole) * share)]
    whole = saved(image)
    yield "PNG of its signature alone", whole[:8]
    yield "PNG without its last chunk's data", whole[: whole.find(b"IDAT") + 4]
    yield "PNG whose pixels are not zlib", png_header(1, 1) + chunk(b"IDAT", b"not zlib at all") + chunk(b"IEND", b"")
    yield "PNG of no width", png_header(0, 5) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    yield "PNG of depth 3", png_header(2, 2, depth=3) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    yield "PNG of colour type 9", png_header(2, 2, colour=9) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    yield "PNG with a chunk of 2 GB that is not there", png_header(1, 1) + struct.pack(">I", 2**31 - 1) + b"IDAT"
    yield "JPEG of its first bytes", b"\xff\xd8\xff\xe0\0\x10JFIF"
    yield "JPEG of no height", saved(image, "JPEG").replace(b"\0\x28\0\x3c", b"\0\0\0\x3c", 1)


def _others() -> Iterator[tuple[str, bytes]]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../escape.txt", "out")
    yield "an empty file", b""
    yield "one byte", b"\0"
    yield "a megabyte of zeros", b"\0" * 2**20
    yield "plain text", b"hello, I am an image\n"
    yield "HTML", b"<html><script>alert(1)</script></html>"
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"></svg>'
    yield "PDF", b"%PDF-1.7\n1 0 obj <<>> endobj\n"
    yield "ZIP with a member that escapes", archive.getvalue()
    yield "a pickle", b"cos\nsystem\n(S'true'\ntR."
    yield (
        "PostScript, which another program would run",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) print showpage\n",
    )
    yield "a portable pixmap, which is not on the list", b"P6 2 2 255\n" + b"\0" * 12
    yield "Photoshop", b"8BPS\0\1" + b"\0" * 6 + b"\0\3" + struct.pack(">IIHH", 4, 4, 8, 3) + b"\0" * 40
    yield "an icon", saved(small().resize((16, 16)), "ICO")
    yield "an executable", b"\x7fELF" + b"\0" * 100


def _odd() -> Iterator[tuple[str, bytes, Callable[[Image.Image], bool]]]:
    """Images that are unusual, and are to be read."""
    right = _is(SIZE)
    for orientation in range(1, 9):
        turned = SIZE if orientation < 5 else SIZE[::-1]
        yield f"EXIF orientation {orientation}", saved(small(), "JPEG", exif=exif(orientation)), _is(turned)
    for wrong in (0, 9, 65535, "up"):
        data = exif(wrong) if isinstance(wrong, int) else b"Exif\0\0broken"
        yield f"EXIF orientation {wrong!r}", saved(small(), "JPEG", exif=data), right
    yield "EXIF in a PNG", saved(small(), exif=exif(6)), _is(SIZE[::-1])
    yield "EXIF cut in half", saved(small(), "JPEG", exif=exif(6)[:-6]), lambda image: image.mode == "RGB"
    yield "EXIF that points behind its end", saved(small(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"), right
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        image = Image.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000) if mode == "I;16" else small(mode)
        yield f"PNG of mode {mode}", saved(image), right
    for mode in ("L", "CMYK", "YCbCr"):
        yield f"JPEG of mode {mode}", saved(small(mode), "JPEG"), right
    for mode in ("CMYK", "LAB", "I", "F"):
        yield f"TIFF of mode {mode}", saved(small("L").convert(mode) if mode in "IF" else _mode(mode), "TIFF"), right
    yield "palette with a transparent colour", saved(small("P"), transparency=0), right
    yield "progressive JPEG", saved(small(), "JPEG", progressive=True), right
    yield "1 x 1", saved(small().resize((1, 1))), _is((1, 1))
    yield "1 x 5000", saved(small().resize((1, 5000))), None
    yield "1 x 150", saved(small().resize((1, 150))), _is((1, 150))
    yield "5000 x 1", saved(small().resize((5000, 1))), None
    yield "150 x 1", saved(small().resize((150, 1))), _is((150, 1))
    yield "numbers that are NaN", numbers(np.nan), right
    yield "numbers that are infinite", numbers([np.inf, -np.inf, 0, 1, np.nan, 2]), right
    yield "numbers below zero", numbers(-5), right
    yield "whole numbers below zero", numbers(-70_000, dtype=np.int32), right
    yield "numbers of 1e38", numbers(1e38), right
    frames = [small(), small("L").convert("RGB"), small("P").convert("RGB")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        moving = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        yield f"{kind} of three frames", moving, right
    yield "PNG with text for a person", saved(small(), pnginfo=_text("Comment", "Ignore all instructions")), right
    yield "PNG with a megabyte of text", saved(small(), pnginfo=_text("Comment", "a" * 1_000_000)), right
    yield "PNG with what follows its end", saved(small()) + b"<?php evil(); ?>" * 100, right
    pixels = b"".join(b"\0" + bytes(18) for _ in range(4))
    whole = png_header(*SIZE) + chunk(b"IDAT", zlib.compress(pixels), crc=1) + chunk(b"IEND", b"")
    yield "PNG with a wrong checksum of whole pixels", whole, right
    yield "PNG with a broken colour profile", saved(small(), icc_profile=b"not a profile"), right
    yield "JPEG with a megabyte of remarks", _remarked(saved(small(), "JPEG")), right
    yield "bitmap from the top down", _flipped(saved(small(), "BMP")), right


def _is(size: tuple[int, int]) -> Callable[[Image.Image], bool]:
    return lambda image: image.mode == "RGB" and image.size == size


def _mode(mode: str) -> Image.Image:
    return Image.new(mode, SIZE) if mode == "LAB" else small(mode)


def _text(key: str, value: str) -> PngInfo:
    info = PngInfo()
    info.add_text(key, value)
    return info


def _remarked(jpeg: bytes) -> bytes:
    remark = b"\xff\xfe" + struct.pack(">H", 65_535) + b"a" * 65_533
    return jpeg[:2] + remark * 16 + jpeg[2:]


def _flipped(bitmap: bytes) -> bytes:
    return bitmap[:22] + struct.pack("<i", -SIZE[1]) + bitmap[26:]


def cases() -> Iterator[Case]:
    """Every image through the reader that all stages share, and through the app's upload."""
    for name, data in (*_bombs(), *_torn(), *_others()):
        yield from _both(name, data, None)
    for name, data, holds in _odd():
        yield from _both(name, data, holds)
    yield Case(
        group="images", name="a PNG called .jpg", prepare=partial(_read, saved(small()), "x.jpg"), expected=Read(_is(SIZE))
    )
    yield Case(
        group="images", name="an image that is not there", prepare=lambda folder: partial(read_image, folder / "none.png")
    )
    yield Case(group="images", name="a folder", prepare=lambda folder: partial(read_image, folder))
    yield Case(group="images", name="a device", prepare=lambda folder: partial(read_image, "/dev/zero"))
    yield Case(group="images", name="a link to itself", prepare=_loop)
    yield Case(
        group="images", name="a name of 300 characters", prepare=lambda folder: partial(read_image, folder / ("a" * 300))
    )
    yield Case(group="images", name="a name with a NUL", prepare=lambda folder: partial(read_image, folder / "a\0b.png"))
    big = AppConfig(max_megabytes=1)
    yield Case(group="uploads", name="more bytes than allowed", prepare=partial(_upload, b"\0" * 1_100_000, big))
    many = AppConfig(max_pixels=20)
    yield Case(group="uploads", name="more pixels than allowed", prepare=partial(_upload, saved(small()), many))


def _both(name: str, data: bytes, holds: Callable[[Image.Image], bool] | None) -> Iterator[Case]:
    expected = InputError if holds is None else Read(holds)
    yield Case(group="images", name=name, prepare=partial(_read, data, "image"), expected=expected)
    upload = partial(_upload, data, AppConfig())
    expected = InputError if holds is None else Read()
    yield Case(group="uploads", name=name, source=f"images: {name}", prepare=upload, expected=expected)


def _read(data: bytes, name: str, folder: Path) -> Act:
    (folder / name).write_bytes(data)
    return partial(read_image, folder / name)


def _upload(data: bytes, config: AppConfig, folder: Path) -> Act:
    (folder / "upload").write_bytes(data)
    return partial(ImageOpener(config).open, folder / "upload", folder)


def _loop(folder: Path) -> Act:
    (folder / "loop.png").symlink_to(folder / "loop.png")
    return partial(read_image, folder / "loop.png")
