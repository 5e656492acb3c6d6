"""Captures of other cameras and data sets: what is broken is refused, what is odd read right, nonsense told with its cause."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reliability.trial import Act, Case, Read
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.importers import Frame, FrameOptions, import_scenes, read_frames

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))  # the makers of small captures are the tests'
import captures as made

Change = Callable[[Path], object]

SIZE = (120, 160)
CAMERA = {"fx": 130.0, "fy": 130.0, "cx": 79.5, "cy": 59.5}


def cases() -> Iterator[Case]:
    """Whole captures of every kind; captures with something changed; and RGB-D folders with numbers that cannot be."""
    for kind, make in made.MAKERS.items():
        yield Case(
            group="captures", name=f"a whole {kind}", prepare=partial(_whole, make), expected=Read(_written), writes=True
        )
    for name, kind, change, expected in _changed():
        yield Case(group="captures", name=name, prepare=partial(_imported, kind, change), expected=expected or _REFUSED)
    for name, changes, raw, expected in _nonsense():
        prepare = partial(_loaded, changes, raw)
        yield Case(group="nonsense", name=name, prepare=prepare, expected=expected or _REFUSED)


_REFUSED = Case.__dataclass_fields__["expected"].default


def _written(result: Any) -> bool:
    return result.scenes >= 1 and not result.left_out


def _whole(make: Callable[[Path], Path], folder: Path) -> Act:
    path = make(folder)
    return lambda: import_scenes(path, out=folder / "out")


def _imported(kind: str, change: Change, folder: Path) -> Act:
    path = made.MAKERS[kind](folder)
    options = change(path)
    return lambda: list(read_frames(path, kind, options=options if isinstance(options, FrameOptions) else None))


def _swap(name: str, data: bytes | str) -> Change:
    """Put other bytes into one file of a folder."""
    return lambda path: made.write(path, {name: data}) and None


def _remove(name: str) -> Change:
    return lambda path: (path / name).unlink()


def _cut(share: float) -> Change:
    """Keep the beginning of a single file."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)]) and None


def _changed() -> Iterator[tuple[str, str, Change, Read | None]]:
    yield "an .r3d cut in half", "record3d", _cut(0.5), None
    yield "a HEIC cut in half", "iphone", _cut(0.5), None
    yield "a .sens cut in half", "scannet-sens", _cut(0.5), None
    yield "a bag cut in half", "rosbag", _cut(0.5), None
    yield "a .mat cut in half", "nyu", _cut(0.5), None
    yield "a photo with its depth cut off", "android", _cut(0.02), None
    yield "Polycam without depth", "polycam", _emptied("keyframes/depth"), None
    yield "ScanNet whose camera is missing", "scannet", _remove("intrinsic/intrinsic_color.txt"), None
    yield "ScanNet whose camera is words", "scannet", _swap("intrinsic/intrinsic_color.txt", "one two three"), None
    yield "a TUM list that is not one", "tum", _swap("rgb.txt", "a b c\n"), None
    yield "a TUM list of files that are not there", "tum", _swap("rgb.txt", "1.0 rgb/none.png\n"), None
    yield "a Replica camera without a scale", "replica", _swap("cam_params.json", '{"camera": {"fx": 1}}'), None
    yield (
        "a Middlebury calibration without its baseline",
        "middlebury",
        _swap("calib.txt", "cam0=[80 0 31; 0 80 24; 0 0 1]\n"),
        None,
    )
    yield "a PFM of three channels", "pfm", _swap("a.pfm", b"PF\n4 4\n-1\n" + bytes(192)), None
    yield "a PFM cut off", "pfm", _swap("a.pfm", b"Pf\n400 400\n-1\n" + bytes(192)), None
    yield "an array of Python objects", "npy", _swap("depth/a.npy", _pickled()), None
    yield "an array of four axes", "npy", _swap("depth/a.npy", _array(np.ones((2, 3, 4, 5)))), None
    yield "an array of nothing measured", "npy", _swap("depth/a.npy", _array(np.full((48, 64), np.inf))), None
    yield "a camera matrix written column by column", "npy", _swap("K.txt", "60 0 0\n0 61 0\n31 23 1\n"), None
    yield "an OpenEXR of colour alone", "exr", _swap("cup.exr", _exr_colour()), None
    yield "an OpenEXR cut off", "exr", lambda path: _cut(0.4)(path / "cup.exr"), None
    yield "an 8-bit depth image", "realsense", _swap("depth/000000.png", made.encoded(Image.new("L", (128, 96), 90))), None
    yield "depth in colour", "realsense", _swap("depth/000000.png", made.encoded(Image.new("RGB", (128, 96)))), None
    yield "a camera of 1280 x 960 for 128 x 96", "png", _swap("intrinsics.txt", "600 610 319 239"), None
    yield "a camera in shares of the image", "png", _swap("intrinsics.txt", "0.94 1.27 0.49 0.49"), None
    yield "focal lengths in millimetres", "png", _swap("intrinsics.txt", "3.6 3.6 31.5 23.5"), None
    yield "no camera", "png", _remove("intrinsics.txt"), None
    yield "a camera of zeros", "png", _swap("intrinsics.txt", "0 0 0 0"), None
    # read right
    yield (
        "depth in millimetres, whole numbers in an array",
        "npy",
        _swap("depth/a.npy", _array(made.depth_map(48, 64))),
        Read(_near(1.0)),
    )
    yield (
        "an array of one axis more",
        "npy",
        _swap("depth/a.npy", _array(made.metres(made.depth_map(48, 64))[..., None])),
        Read(_near(1.0)),
    )
    yield (
        "a camera by hand",
        "png",
        lambda path: FrameOptions(intrinsics=Intrinsics(fx=58, fy=58, cx=32, cy=24)),
        Read(_focal(58)),
    )
    yield "a PGM of 12 bits", "7scenes", _pgm, Read(_near(1.0))
    yield "an OpenEXR whose data window is a part", "exr", _exr_part, Read(_part)
    yield "a camera_intrinsic.json row by row", "realsense", _by_row, Read(_focal(110))
    yield "a depth_scale in metres", "realsense", _scale(0.0005), Read(_near(0.5))
    yield "a depth_scale in units per metre", "realsense", _scale(2000.0), Read(_near(0.5))
    yield "ScanNet whose images were made smaller", "scannet", _smaller, Read(_focal(1166 * 122 / 1296))
    yield "ScanNet whose track was lost", "scannet", _swap("pose/0.txt", " ".join(["-inf"] * 16)), Read(_no_gravity)


def _near(least: float) -> Callable[[list[Frame]], bool]:
    """The nearest measured point is about so far."""
    return lambda frames: abs(float(np.nanmin(frames[0].depth)) - least) < 0.15 * least


def _focal(focal: float) -> Callable[[list[Frame]], bool]:
    return lambda frames: abs(frames[0].intrinsics.fx - focal) < 1e-6


def _no_gravity(frames: list[Frame]) -> bool:
    return frames[0].gravity is None


def _part(frames: list[Frame]) -> bool:
    known = np.isfinite(frames[0].depth)
    return bool(known[10:20, 30:50].all()) and int(known.sum()) == 200


def _emptied(start: str) -> Change:
    def change(path: Path) -> None:
        import zipfile

        with zipfile.ZipFile(path) as archive:
            kept = {name: archive.read(name) for name in archive.namelist() if start not in name}
        made.zipped(path, kept)

    return change


def _array(values: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _pickled() -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return file.getvalue()


def _written_exr(channels: dict[str, np.ndarray], **header: object) -> bytes:
    import tempfile

    import OpenEXR

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.exr"
        OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}, channels).write(
            str(path)
        )
        return path.read_bytes()


def _exr_colour() -> bytes:
    return _written_exr({"G": np.ones((48, 64), dtype=np.float32), "B": np.ones((48, 64), dtype=np.float32)})


def _exr_part(path: Path) -> None:
    window = (np.array([30, 10], dtype=np.int32), np.array([49, 19], dtype=np.int32))
    whole = (np.array([0, 0], dtype=np.int32), np.array([63, 47], dtype=np.int32))
    depth = np.full((10, 20), 2.0, dtype=np.float32)
    (path / "cup.exr").write_bytes(_written_exr({"Z": depth}, dataWindow=window, displayWindow=whole))


def _pgm(path: Path) -> None:
    """Depth as a PGM whose largest number is 4095."""
    (path / "frame-000000.depth.png").unlink()
    values = made.depth_map(48, 64).astype(">u2")
    (path / "frame-000000.depth.pgm").write_bytes(b"P5\n64 48\n4095\n" + values.tobytes())


def _by_row(path: Path) -> None:
    camera = {"width": 128, "height": 96, "intrinsic_matrix": [110.0, 0, 64.5, 0, 111.0, 47.0, 0, 0, 1]}
    made.write(path, {"camera_intrinsic.json": json.dumps(camera)})


def _scale(value: float) -> Change:
    camera = {"fx": 110.0, "fy": 111.0, "ppx": 64.5, "ppy": 47.0, "width": 128, "height": 96, "depth_scale": value}
    return _swap("camera_intrinsic.json", json.dumps(camera))


def _smaller(path: Path) -> None:
    """Colour at half its size, with the camera of the full size (1296 x 968) still beside it."""
    matrix = np.diag([1166.0, 1166.0, 1.0, 1.0])
    matrix[0, 2], matrix[1, 2] = 647.5, 483.5
    made.write(path, {"intrinsic/intrinsic_color.txt": " ".join(map(str, matrix.ravel()))})
    for name in ("0", "10"):
        small = made.image(91, 122).resize((122, 91))
        made.write(path, {f"color/{name}.jpg": made.encoded(small, "JPEG")})


def _room() -> np.ndarray:
    rows, columns = np.indices(SIZE)
    noise = np.random.default_rng(0).normal(0, 4, SIZE)
    return np.round(1500 + 12 * columns + 4.8 * rows + noise).astype(np.uint16)


Raw = Callable[[np.ndarray], np.ndarray]


def _nonsense() -> Iterator[tuple[str, dict[str, Any], Raw, Read | None]]:
    plain: Raw = lambda raw: raw  # noqa: E731
    width = Read(lambda scene: scene.id == "photo")
    yield "nothing wrong", {}, plain, width
    yield "intrinsics of 1920 x 1440", {"intrinsics": {"fx": 1500, "fy": 1500, "cx": 959.5, "cy": 719.5}}, plain, None
    yield "intrinsics of 40 x 30", {"intrinsics": {"fx": 32, "fy": 32, "cx": 19.5, "cy": 14.5}}, plain, None
    yield "intrinsics in shares", {"intrinsics": {"fx": 0.81, "fy": 1.08, "cx": 0.5, "cy": 0.5}}, plain, None
    yield "intrinsics in millimetres", {"intrinsics": {"fx": 4.2, "fy": 4.2, "cx": 79.5, "cy": 59.5}}, plain, None
    yield "intrinsics of the turned image", {"intrinsics": {"fx": 130, "fy": 130, "cx": 59.5, "cy": 79.5}}, plain, None
    yield "a principal point left of the image", {"intrinsics": {**CAMERA, "cx": -20}}, plain, None
    yield "fx three times fy", {"intrinsics": {**CAMERA, "fy": 43}}, plain, None
    yield "metres for millimetres", {"depth_units_per_metre": 1}, plain, None
    yield "micrometres for millimetres", {"depth_units_per_metre": 1e6}, plain, None
    yield "centimetres for millimetres", {"depth_units_per_metre": 100}, plain, None
    yield "tenths of millimetres for millimetres", {"depth_units_per_metre": 10_000}, plain, None
    yield "SUN RGB-D's rotated bits", {}, lambda raw: ((raw << 3) | (raw >> 13)).astype(np.uint16), None
    yield (
        "SUN RGB-D's rotated bits and their own unit",
        {"depth_units_per_metre": 8000},
        lambda raw: (raw << 3).astype(np.uint16),
        width,
    )
    yield "swapped bytes", {}, lambda raw: raw.byteswap(), None
    yield "an 8-bit preview times 257", {}, lambda raw: (raw // 20 * 257).astype(np.uint16), None
    yield "an 8-bit preview in 16 bits", {}, lambda raw: (raw // 20).astype(np.uint16), None
    yield "a logarithmic image", {}, lambda raw: _stretched(np.log(raw.astype(float))), None
    yield "a disparity", {}, lambda raw: _stretched(1 / raw.astype(float)), None
    yield "65535 for the far wall", {}, partial(_filled, value=65535), width
    yield "32767 for the far wall", {}, partial(_filled, value=32767), None
    yield "8191 for the far wall", {}, partial(_filled, value=8191), None
    yield "gravity upwards", {"gravity": [0, -1, 0]}, plain, width
    yield "a check that is not one in accept", {"accept": ["all"]}, plain, None
    yield "metres for millimetres, accepted", {"depth_units_per_metre": 1, "accept": ["units", "known sizes"]}, plain, width


def _stretched(values: np.ndarray) -> np.ndarray:
    return np.round(65535 * (values - values.min()) / (values.max() - values.min())).astype(np.uint16)


def _filled(raw: np.ndarray, *, value: int) -> np.ndarray:
    raw = raw.copy()
    raw[:20] = value
    return raw


def _loaded(changes: dict[str, Any], change: Raw, folder: Path) -> Act:
    """An RGB-D folder of a room with a chair and a door, with some keys and the depth changed."""
    entry = {
        "image": "image.png", "depth": "depth.png", "depth_units_per_metre": 1000, "intrinsics": CAMERA,
        "regions": [{"label": "chair", "box": [30, 60, 60, 110]}, {"label": "door", "box": [80, 5, 110, 105]}],
    }  # fmt: skip
    files: dict[str, bytes | str] = {
        "image.png": made.encoded(made.image(*SIZE)),
        "depth.png": made.grey(change(_room())),
        "scene.json": json.dumps(entry | changes),
    }
    place = made.write(folder / "photo", files)
    return lambda: rgbd.load(place)
