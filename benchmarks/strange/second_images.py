"""A second look at images: kinds and tricks of files that the first cases left out; to ask about, and to import."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from strange.case import Bench, Case
from strange.images import EITHER, READ, REFUSED, ask_file, saved, zeros
from strange.images import part as chunk


def _interlaced(side: int) -> bytes:
    """A grey PNG by Adam7: seven images of zeros."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    packer, data = zlib.compressobj(9), b""
    for left, top, across, down in passes:
        width, height = -(-(side - left) // across), -(-(side - top) // down)
        line = b"\0" * (1 + width)
        data += b"".join(packer.compress(line) for _ in range(height))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 1)
    body = chunk(b"IDAT", data + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def _apng() -> bytes:
    frames = [Image.new("RGB", (64, 48), (number % 255, 0, 0)) for number in range(300)]
    return saved(frames[0], "PNG", save_all=True, append_images=frames[1:])


def _apng_that_lies() -> bytes:
    data = saved(Image.new("RGB", (64, 48)), "PNG")
    place = data.index(b"IDAT") - 4
    return data[:place] + chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + data[place:]


def _segments(marker: int, begin: bytes, count: int) -> bytes:
    """A JPEG with many full segments of one kind."""
    data, each = saved(Image.new("RGB", (64, 48)), "JPEG"), 65_533 - len(begin) - 2
    segments = [
        bytes([0xFF, marker]) + struct.pack(">H", 65_533 + 2 - 2) + begin + bytes([number % 255 + 1, 255]) + b"x" * (each - 2)
        for number in range(count)
    ]
    return data[:2] + b"".join(segments) + data[2:]


def _tiff(width: int, height: int, strip: bytes, *, compression: int = 8, pages: int = 1, circle: bool = False) -> bytes:
    """A TIFF of 8-bit grey in one strip that says what it likes; pages may follow, or come back to the first."""
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression), (262, 3, 1), (273, 4, 8), (277, 3, 1),
        (278, 4, height), (279, 4, len(strip)),
    ]  # fmt: skip
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    first, size = 8 + len(strip), len(body) + 4
    listed = b"".join(
        body + struct.pack("<I", first if circle else first + size * (page + 1) if page + 1 < pages else 0)
        for page in range(pages)
    )
    return b"II*\0" + struct.pack("<I", first) + strip + listed


def _big_tiff() -> bytes:
    entries = [(256, 16, 2**40), (257, 16, 2**40), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 16, 16), (279, 16, 2**50)]
    body = struct.pack("<Q", len(entries)) + b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + body + struct.pack("<Q", 0)


def _animated_webp() -> bytes:
    frames = [Image.new("RGB", (64, 48), (number % 255, 0, 0)) for number in range(200)]
    return saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def _webp_canvas() -> bytes:
    """A canvas of 2^24 x 2^24 around a small frame."""
    data = saved(Image.new("RGB", (64, 48)), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    place = data.index(b"VP8X") + 12
    return data[:place] + b"\xff" * 6 + data[place + 6 :]


def _webp_cut() -> bytes:
    data = saved(Image.effect_noise((400, 300), 90).convert("RGB"), "WEBP")
    return data[: len(data) // 2]


def _two_in_one() -> bytes:
    return saved(Image.new("RGB", (64, 48)), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.new("RGB", (64, 48)), "PNG", exif=exif)


def _precise() -> bytes:
    data = bytearray(saved(Image.new("L", (64, 48)), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


def _polyglot() -> bytes:
    return saved(Image.new("RGB", (64, 48)), "GIF") + b"<script>alert(1)</script>PK\x03\x04"


def _palette_cut() -> bytes:
    data = saved(Image.new("P", (64, 48)), "PNG")
    place = data.index(b"PLTE") - 4
    end = place + 12 + struct.unpack(">I", data[place : place + 4])[0]
    return data[:place] + data[end:]


def _photoshop() -> bytes:
    return b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 300_000, 300_000, 8, 3)


FILES: tuple[tuple[str, str, str, Callable[[], bytes]], ...] = (
    ("an animated PNG of 300 frames", READ, "a.png", _apng),
    ("a PNG that says it has two billion frames", EITHER, "a.png", _apng_that_lies),
    ("an interlaced PNG", READ, "a.png", lambda: _interlaced(64)),
    ("an interlaced PNG of 62 million pixels", EITHER, "a.png", lambda: _interlaced(7_900)),
    ("60 MB of EXIF in 1,000 segments", EITHER, "a.jpg", lambda: _segments(0xE1, b"Exif\0\0", 1_000)),
    ("a colour profile in 255 segments of 64 kB", EITHER, "a.jpg", lambda: _segments(0xE2, b"ICC_PROFILE\0", 255)),
    ("30 MB of comments in a JPEG", EITHER, "a.jpg", lambda: _segments(0xFE, b"", 500)),
    ("CMYK of 62 million pixels", READ, "a.jpg", lambda: saved(Image.new("CMYK", (7_900, 7_900)), "JPEG")),
    ("Lab colours in a TIFF", EITHER, "a.tif", lambda: saved(Image.new("LAB", (64, 48)), "TIFF")),
    ("16 bits of three colours in a PNG", READ, "a.png", lambda: _sixteen()),
    ("a TIFF whose strip unpacks to 1.5 GB", EITHER, "a.tif", lambda: _tiff(64, 48, zeros(1500))),
    ("a TIFF whose pages go in a circle", EITHER, "a.tif", lambda: _tiff(64, 48, b"\0" * 3072, compression=1, circle=True)),
    ("a TIFF of 20,000 pages", EITHER, "a.tif", lambda: _tiff(64, 48, b"\0" * 3072, compression=1, pages=20_000)),
    ("a TIFF of 2^31 x 2^31", REFUSED, "a.tif", lambda: _tiff(2**31, 2**31, b"\0" * 64, compression=1)),
    ("a BigTIFF of 2^40 x 2^40", REFUSED, "a.tif", _big_tiff),
    ("a TIFF of an unknown packing", REFUSED, "a.tif", lambda: _tiff(64, 48, b"\0" * 64, compression=4711)),
    ("an animated WebP of 200 frames", READ, "a.webp", _animated_webp),
    ("a WebP canvas of 2^24 x 2^24", EITHER, "a.webp", _webp_canvas),
    ("half a WebP", REFUSED, "a.webp", _webp_cut),
    ("two photos in one file (MPO)", READ, "a.jpg", _two_in_one),
    ("a PNG that is turned by its EXIF", READ, "a.png", _turned),
    ("a JPEG of 12 bits", REFUSED, "a.jpg", _precise),
    ("a GIF with a script and a zip behind it", READ, "a.gif", _polyglot),
    ("a palette that is not there", EITHER, "a.png", _palette_cut),
    ("JPEG 2000", REFUSED, "a.jpg", lambda: saved(Image.new("RGB", (64, 48)), "JPEG2000")),
    ("an icon", REFUSED, "a.png", lambda: saved(Image.new("RGB", (64, 48)), "ICO")),
    ("a Photoshop file of 300,000 x 300,000", REFUSED, "a.png", _photoshop),
    ("a PNG whose checksum is wrong", EITHER, "a.png", lambda: saved(Image.new("RGB", (64, 48)), "PNG")[:-30] + b"x" * 30),
)  # fmt: skip


def _sixteen() -> bytes:
    header = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    lines = zlib.compress((b"\0" + b"\x80\x00" * 3 * 64) * 48)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def cases() -> Iterator[Case]:
    """Each asked about; HEIC photos, and depth in folders, imported."""
    for name, expected, file, make in FILES:
        yield Case(kind="odd images", done=name, expected=expected, run=partial(ask_file, expected, file, make))
    for name, change in HEIC:
        yield Case(
            kind="odd captures", done=name, expected="exit 2 with what is wrong; no memory is spent on it",
            run=partial(_photo, change),
        )  # fmt: skip
    for name, change in FOLDERS:
        yield Case(
            kind="odd captures", done=name, expected="exit 2 with what is wrong; no memory is spent on it",
            run=partial(_folder, change),
        )  # fmt: skip


def _heic() -> bytes:
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (90, 120, 150))).save(file, quality=90)
    return file.getvalue()


def _large_ispe(data: bytes) -> bytes:
    place = data.index(b"ispe") + 8
    return data[:place] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + data[place + 8 :]


def _long_box(data: bytes) -> bytes:
    place = data.index(b"meta") - 4
    return data[:place] + struct.pack(">I", 2**31) + data[place + 4 :]


HEIC: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("a HEIC photo without depth", lambda data: data),
    ("a HEIC photo of 2^31 x 2^31", _large_ispe),
    ("a HEIC box of 2 GB", _long_box),
    ("a HEIC photo of its brand alone", lambda data: data[:24]),
    ("a HEIC photo whose pixels are noise", lambda data: data[:-40] + b"\xff" * 40),
)


def _photo(change: Callable[[bytes], bytes], bench: Bench) -> str:
    path = bench.folder / "IMG_0001.HEIC"
    path.write_bytes(change(_heic()))
    end = bench.spatial("scenes", "import", "--from", "iphone", path, "--out", bench.folder / "scenes").expect(2, within=60)
    return end.error[:110]


def _depth(pixels: np.ndarray, folder: Path) -> None:
    Image.fromarray(pixels).save(folder / "depth.png")


def _scene(folder: Path, **changes: object) -> None:
    path = folder / "scene.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


FOLDERS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("depth that is a colour photo", lambda folder: _depth(np.zeros((48, 64, 3), np.uint8), folder)),
    ("depth of another size", lambda folder: _depth(np.full((480, 640), 900, np.uint16), folder)),
    ("depth that is nowhere measured", lambda folder: _depth(np.zeros((48, 64), np.uint16), folder)),
    ("scene.json of 200,000 brackets", lambda folder: (folder / "scene.json").write_text("[" * 200_000)),
    ("a focal length of 10^400", lambda folder: (folder / "scene.json").write_text(
        (folder / "scene.json").read_text().replace('"fx": 60', '"fx": 1' + "0" * 400))),
    ("an image that is the folder itself", lambda folder: _scene(folder, image=".")),
    ("a polygon of 200,000 corners", lambda folder: _scene(folder, regions=[{"label": "a", "polygon": [[1, 1]] * 200_000}])),
    ("2,000 regions", lambda folder: _scene(folder, regions=[{"label": "a", "box": [1, 1, 9, 9]}] * 2_000)),
    ("a label of 10 MB", lambda folder: _scene(folder, regions=[{"label": "a" * 10**7, "box": [1, 1, 9, 9]}])),
    ("run lengths that add up to 10^18", lambda folder: _scene(
        folder, regions=[{"label": "a", "rle": {"size": [48, 64], "counts": [10**18, 1]}}])),
    ("run lengths below zero", lambda folder: _scene(
        folder, regions=[{"label": "a", "rle": {"size": [48, 64], "counts": [-5, 3077]}}])),
)  # fmt: skip


def _folder(change: Callable[[Path], object], bench: Bench) -> str:
    folder = bench.folder / "photo"
    folder.mkdir()
    Image.new("RGB", (64, 48), (90, 120, 150)).save(folder / "image.png")
    depth = np.full((48, 64), 2_000, np.uint16) + np.arange(64, dtype=np.uint16) * 7
    _depth(depth.astype(np.uint16), folder)
    camera = {"fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5}
    given = {"image": "image.png", "depth": "depth.png", "depth_units_per_metre": 1000, "intrinsics": camera}
    (folder / "scene.json").write_text(json.dumps({**given, "regions": [{"label": "a", "box": [9, 9, 40, 40]}]}))
    change(folder)
    end = bench.spatial("scenes", "rgbd", folder, "--out", bench.folder / "scenes").expect(1, 2, within=60)
    return end.error[:110]
