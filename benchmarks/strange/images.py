"""Odd images: to ask about, to open in the app, and as masks."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from strange.case import Bench, Case
from strange.server import Server, healthy

READ = "answered"
REFUSED = "exit 2 with what is wrong; no memory is spent on it"
EITHER = "answered, or refused with what is wrong; no memory is spent on it"


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, extra: bytes = b"", data: bytes | None = None) -> bytes:
    """A PNG whose header says what it likes."""
    line = 1 + (width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] + 7) // 8
    pixels = zlib.compress(b"\0" * line * height) if data is None else data
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + extra + part(b"IDAT", pixels) + part(b"IEND", b"")


def part(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def zeros(megabytes: int) -> bytes:
    """So many megabytes of zeros, packed."""
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(b"\0" * 2**20) for _ in range(megabytes)), packer.flush()])


def _text_bomb() -> bytes:
    return png(64, 48, extra=part(b"zTXt", b"note\0\0" + zeros(1500)))


def _profile_bomb() -> bytes:
    return png(64, 48, extra=part(b"iCCP", b"icc\0\0" + zeros(1500)))


def _texts() -> bytes:
    return png(64, 48, extra=part(b"tEXt", b"note\0" + b"x" * 900) * 40_000)


def _pixels_bomb() -> bytes:
    return png(64, 48, data=zeros(1500))


def _frames() -> bytes:
    first, rest = Image.new("P", (64, 48)), [Image.new("P", (64, 48), number % 200) for number in range(1, 3000)]
    return saved(first, "GIF", save_all=True, append_images=rest)


def _gif_screen() -> bytes:
    data = bytearray(saved(Image.new("P", (64, 48)), "GIF"))
    data[6:10] = struct.pack("<HH", 65535, 65535)
    return bytes(data)


def _bmp_header() -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 999, 0, 0, 54, 40, 2_000_000_000, -2_000_000_000, 1, 24, 0, 0, 0, 0, 0, 0)


def _exif_bomb() -> bytes:
    exif = b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xff" + b"\x0f\x01\x02\0\xff\xff\xff\x7f\x08\0\0\0" * 4000
    data = saved(Image.new("RGB", (64, 48)), "JPEG")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def _progressive() -> bytes:
    data = saved(Image.new("RGB", (7900, 7900)), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + data[scan:-2] * 200 + data[-2:]


def _jpeg_header() -> bytes:
    data = bytearray(saved(Image.new("RGB", (64, 48)), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 65500, 65500)
    return bytes(data)


FILES: tuple[tuple[str, str, str, Callable[[], bytes]], ...] = (
    ("1 x 1", EITHER, "a.png", lambda: png(1, 1)),
    ("20,000 x 1", REFUSED, "a.png", lambda: png(20_000, 1)),
    ("1 x 60,000", REFUSED, "a.png", lambda: png(1, 60_000)),
    ("7,900 x 7,900 of one colour", EITHER, "a.png", lambda: png(7_900, 7_900, depth=1, colour=0)),
    ("100 x 19,000, just allowed", EITHER, "a.png", lambda: png(100, 19_000, depth=8, colour=0)),
    ("100,000 x 100,000 in the header", REFUSED, "a.png", lambda: png(100_000, 100_000, data=b"")),
    ("0 x 48", REFUSED, "a.png", lambda: png(0, 48)),
    ("pixels that unpack to 1.5 GB", EITHER, "a.png", _pixels_bomb),
    ("a text that unpacks to 1.5 GB", EITHER, "a.png", _text_bomb),
    ("a colour profile that unpacks to 1.5 GB", EITHER, "a.png", _profile_bomb),
    ("40,000 texts", EITHER, "a.png", _texts),
    ("8,000 x 8,000 of 16 bits and four channels", EITHER, "a.png", lambda: png(8_000, 8_000, depth=16, colour=6)),
    ("7,900 x 7,900 of 16 bits of grey", READ, "a.png", lambda: png(7_900, 7_900, depth=16, colour=0)),
    ("7,900 x 7,900 floating-point numbers", READ, "a.tif", lambda: saved(Image.new("F", (7_900, 7_900), 0.5), "TIFF")),
    ("16 bits of grey", READ, "a.png", lambda: saved(Image.new("I;16", (64, 48), 40_000), "PNG")),
    ("a palette with a transparent colour", READ, "a.png", lambda: saved(Image.new("P", (64, 48)), "PNG", transparency=0)),
    ("CMYK", READ, "a.jpg", lambda: saved(Image.new("CMYK", (64, 48)), "JPEG")),
    ("half a JPEG", EITHER, "a.jpg", lambda: saved(Image.effect_noise((400, 300), 90), "JPEG")[:9000]),
    ("a JPEG whose header says 65,500 x 65,500", REFUSED, "a.jpg", _jpeg_header),
    ("a JPEG of 200 scans of 62 million pixels", EITHER, "a.jpg", _progressive),
    ("EXIF that points everywhere", EITHER, "a.jpg", _exif_bomb),
    ("a GIF of 3,000 frames", EITHER, "a.gif", _frames),
    ("a GIF whose screen is 65,535 x 65,535", EITHER, "a.gif", _gif_screen),
    ("a BMP of minus two billion lines", REFUSED, "a.bmp", _bmp_header),
    ("a WebP of 16,383 x 3,000", EITHER, "a.webp", lambda: saved(Image.new("RGB", (16_383, 3_000)), "WEBP")),
    ("an SVG", REFUSED, "a.png", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    ("a PDF", REFUSED, "a.png", lambda: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"),
    ("PostScript", REFUSED, "a.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n(x) run\n"),
    ("a text", REFUSED, "a.png", lambda: b"hello"),
    ("nothing", REFUSED, "a.png", lambda: b""),
)


def cases() -> Iterator[Case]:
    """Each asked about, at an endpoint; files that are not images besides."""
    for name, expected, file, make in FILES:
        yield Case(kind="odd images", done=name, expected=expected, run=partial(ask_file, expected, file, make))
    for name, expected, make in PLACES:
        yield Case(kind="odd images", done=name, expected=expected, run=partial(_place, expected, make))
    yield Case(kind="odd images", done="a photo of 62 million pixels with depth", expected=READ, run=_measured)
    for name, make in MASKS:
        yield Case(kind="odd images", done=f"as a mask: {name}", expected=REFUSED, run=partial(_mask, make))


def ask(bench: Bench, image: object, *more: object, region: object = "0,0,1,1") -> str:
    """What came of a question about an image."""
    with Server(handler=healthy) as server:
        end = bench.spatial("ask", image, "How wide is <region1>?", "--region", region, "--model", server.model, *more)
    end.expect(0, 2, within=60)
    return f"exit {end.code}: {end.error[:110]}" if end.code else "answered"


def _held(expected: str, came: str) -> str:
    from strange.case import need

    need(expected == EITHER or (came == "answered") == (expected == READ), came)
    return came


def ask_file(expected: str, file: str, make: Callable[[], bytes], bench: Bench) -> str:
    """What came of a question about a file of these bytes."""
    path = bench.folder / file
    path.write_bytes(make())
    return _held(expected, ask(bench, path))


def _measured(bench: Bench) -> str:
    """A thing before a wall, whose answer is checked; of about the largest image that is read."""
    width, height = 9_000, 6_900
    depth = np.full((height, width), 3_000, np.uint16)
    depth[1_500:4_500, 2_500:6_500] = 1_800
    depth += np.random.default_rng(0).integers(0, 9, depth.shape, np.uint16)
    Image.fromarray(depth).save(bench.folder / "depth.png", compress_level=1)
    photo = Image.new("RGB", (width, height), (90, 120, 150))
    photo.paste((180, 60, 40), (2_500, 1_500, 6_500, 4_500))
    photo.save(bench.folder / "a.jpg")
    given = "--depth", bench.folder / "depth.png", "--intrinsics", "7000,7000,4499.5,3449.5"
    return _held(READ, ask(bench, bench.folder / "a.jpg", *given, region="1500,800,7500,6000"))


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.png")
    return folder / "a.png"


def _circle(folder: Path) -> Path:
    (folder / "a.png").symlink_to(folder / "b.png")
    (folder / "b.png").symlink_to(folder / "a.png")
    return folder / "a.png"


def _strange_name(folder: Path) -> Path:
    path = folder / "\x1b[2J\n\udcff.png"
    path.write_bytes(png(64, 48))
    return path


def _secret(folder: Path) -> Path:
    path = folder / "a.png"
    path.write_bytes(png(64, 48))
    path.chmod(0)
    return path


PLACES: tuple[tuple[str, str, Callable[[Path], Path]], ...] = (
    ("a pipe that nobody writes into", REFUSED, _pipe),
    ("/dev/zero", REFUSED, lambda folder: Path("/dev/zero")),
    ("a circle of links", REFUSED, _circle),
    ("an empty folder", REFUSED, lambda folder: folder),
    ("a name of 300 letters", REFUSED, lambda folder: folder / ("a" * 300)),
    ("a name of commands for terminals and half a character", READ, _strange_name),
)


def _place(expected: str, make: Callable[[Path], Path], bench: Bench) -> str:
    return _held(expected, ask(bench, make(bench.folder)))


MASKS: tuple[tuple[str, Callable[[], bytes]], ...] = (
    ("100,000 x 100,000 in the header", lambda: png(100_000, 100_000, data=b"")),
    ("a text that unpacks to 1.5 GB, of another size", lambda: png(65, 49, extra=part(b"zTXt", b"note\0\0" + zeros(1500)))),
    ("a GIF whose screen is 65,535 x 65,535", _gif_screen),
)


def _mask(make: Callable[[], bytes], bench: Bench) -> str:
    path = bench.folder / "mask.png"
    path.write_bytes(make())
    return _held(REFUSED, ask(bench, bench.image, region=path))
