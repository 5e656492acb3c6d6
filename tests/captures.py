"""Small captures of every kind, by the formats' own libraries where they are to be had, with depth that is known exactly."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

DOWN_ARKIT = np.array([0.0, -1.0, 0.0])
DOWN_Z = np.array([0.0, 0.0, -1.0])


def depth_map(height: int, width: int) -> np.ndarray:
    """Millimetres, whole numbers: a slanted wall from 1 m to about 3 m, with a hole in the corner."""
    rows, columns = np.indices((height, width))
    millimetres = 1000 + np.round(1500 * columns / width + 400 * rows / height)
    millimetres[: height // 8, : width // 8] = 0
    return millimetres.astype(np.uint16)


def metres(millimetres: np.ndarray) -> np.ndarray:
    """The same in metres, NaN in the hole."""
    return np.where(millimetres > 0, millimetres / np.float32(1000), np.nan).astype(np.float32)


def image(height: int, width: int) -> Image.Image:
    """An image whose every side is another colour."""
    rows, columns = np.indices((height, width))
    pixels = np.stack([rows * 255 // height, columns * 255 // width, np.full((height, width), 90)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def grey(values: np.ndarray) -> bytes:
    """The bytes of a PNG of these whole numbers."""
    return encoded(Image.fromarray(values))


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    """Write files by their paths in the folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def zipped(path: Path, files: dict[str, bytes | str], *, around: str = "") -> Path:
    """Write files as a zip archive, perhaps with a folder around them."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(around + name, data)
    return path


def tilted(degrees: float, *, roll: float = 0.0) -> np.ndarray:
    """Camera to world of a camera (x right, y down, z forward) that looks down by an angle, in a world with z up."""
    level = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # x right, z forward along y, y down along -z
    return level @ Rotation.from_euler("XZ", [-degrees, roll], degrees=True).as_matrix()


def y_up(rotation: np.ndarray) -> np.ndarray:
    """The same in a world with y up, as ARKit's."""
    return np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) @ rotation


OPENGL = np.diag([1.0, -1.0, -1.0])
"""From a camera frame with y down, z forward to one with y up, z backward, and back."""


def record3d(folder: Path, *, frames: int = 2, confidence: bool = True) -> Path:
    """An .r3d file: the phone upright, looking down by 20 degrees."""
    import lzfse

    depth = metres(depth_map(64, 48))
    levels = np.full((64, 48), 2, dtype=np.uint8)
    levels[:, -6:] = 0
    pose = y_up(tilted(20)) @ OPENGL
    quaternion = Rotation.from_matrix(pose).as_quat().tolist()
    metadata = {
        "w": 180, "h": 240, "dw": 48, "dh": 64, "fps": 30, "K": [150.0, 0, 0, 0, 151.0, 0, 89.0, 121.0, 1.0],
        "perFrameIntrinsicCoeffs": [[160.0 + k, 161.0 + k, 90.0, 120.0] for k in range(frames)],
        "poses": [[*quaternion, 0.1, 0.2, 0.3]] * frames,
    }  # fmt: skip
    files: dict[str, bytes | str] = {"metadata": json.dumps(metadata)}
    for k in range(frames):
        files[f"rgbd/{k}.jpg"] = encoded(image(240, 180), "JPEG", quality=95)
        files[f"rgbd/{k}.depth"] = lzfse.compress(depth.astype("<f4").tobytes())
        if confidence:
            files[f"rgbd/{k}.conf"] = lzfse.compress(levels.tobytes())
    return zipped(folder / "kitchen.r3d", files)


def polycam(folder: Path, *, corrected: bool = True) -> Path:
    """A zip as Polycam exports it, with the phone held upright: the images lie on their side."""
    pose = y_up(tilted(15, roll=90)) @ OPENGL
    camera = {
        "fx": 180.0, "fy": 181.0, "cx": 127.0, "cy": 95.0, "width": 256, "height": 192, "blur_score": 1.0,
        **{f"t_{i}{j}": float(pose[i, j]) if j < 3 else 0.5 for i in range(3) for j in range(4)},
    }  # fmt: skip
    confidence = np.full((48, 64), 255, dtype=np.uint8)
    confidence[-6:] = 0
    confidence[:6] = 127
    files: dict[str, bytes | str] = {
        "keyframes/images/1001.jpg": encoded(image(192, 256), "JPEG"),
        "keyframes/cameras/1001.json": json.dumps(camera),
        "keyframes/depth/1001.png": grey(depth_map(48, 64)),
        "keyframes/confidence/1001.png": grey(confidence),
        "mesh_info.json": "{}",
    }
    if corrected:
        files["keyframes/corrected_images/1001.jpg"] = encoded(image(192, 256), "JPEG")
        files["keyframes/corrected_cameras/1001.json"] = json.dumps(camera | {"fx": 200.0, "fy": 200.0})
    return zipped(folder / "flat.zip", files, around="flat/")


def stray(folder: Path, *, frames: int = 5) -> Path:
    """A Stray Scanner recording, its video written by FFmpeg; the sensor level."""
    import av

    place = folder / "7d4f"
    write(place, {"camera_matrix.csv": "210.0, 0.0, 127.5\n0.0, 211.0, 95.5\n0.0, 0.0, 1.0\n"})
    quaternion = Rotation.from_matrix(y_up(tilted(10))).as_quat()
    rows = ["timestamp, frame, x, y, z, qx, qy, qz, qw"]
    with av.open(str(place / "rgb.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 256, 192, "yuv420p"
        for k in range(frames):
            write(
                place,
                {
                    f"depth/{k:06}.png": grey(np.where(depth_map(48, 64), depth_map(48, 64) + k, 0).astype(np.uint16)),
                    f"confidence/{k:06}.png": _levels(48, 64),
                },
            )
            rows.append(", ".join(str(v) for v in (k / 30, f"{k:06}", 0.1, 0.2, 0.3, *quaternion)))
            pixels = np.full((192, 256, 3), (40 * k, 100, 200 - 40 * k), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return write(place, {"odometry.csv": "\n".join(rows) + "\n"})


def _levels(height: int, width: int) -> bytes:
    levels = np.full((height, width), 2, dtype=np.uint8)
    levels[:, -4:] = 0
    return grey(levels)


def arkitscenes(folder: Path) -> Path:
    """A scan as 3dod has it, the iPad held upright (the sensor on its side), depth a quarter of the image."""
    place = folder / "41048190" / "41048190_frames"
    world_to_camera = tilted(25, roll=-90).T
    vector = Rotation.from_matrix(world_to_camera).as_rotvec()
    files: dict[str, bytes | str] = {"lowres_wide.traj": f"3.510 {vector[0]} {vector[1]} {vector[2]} 0.1 0.2 0.3\n"}
    for stamp in ("3.501", "3.601"):
        files |= {
            f"lowres_wide/41048190_{stamp}.png": grey(np.asarray(image(192, 256))),
            f"lowres_wide_intrinsics/41048190_{stamp}.pincam": "256 192 212.5 212.6 127.9 95.9",
            f"lowres_depth/41048190_{stamp}.png": grey(depth_map(192, 256)),
            f"confidence/41048190_{stamp}.png": _levels(192, 256),
        }
    write(place, files)
    return place.parent


def scannet(folder: Path) -> Path:
    """An exported scan with colour of one size and camera, depth of another."""
    place = folder / "scene0000_00"
    pose = np.eye(4)
    pose[:3, :3] = tilted(30)
    files: dict[str, bytes | str] = {
        "intrinsic/intrinsic_color.txt": _text(np.diag([220.0, 221.0, 1, 1]) + _centre(127.0, 97.0)),
        "intrinsic/intrinsic_depth.txt": _text(np.diag([58.0, 58.5, 1, 1]) + _centre(31.5, 23.5)),
        "intrinsic/extrinsic_color.txt": _text(np.eye(4)),
        "intrinsic/extrinsic_depth.txt": _text(np.eye(4)),
    }
    for k in (0, 10):
        files[f"color/{k}.jpg"] = encoded(image(192, 256), "JPEG")
        files[f"depth/{k}.png"] = grey(depth_map(48, 64))
        files[f"pose/{k}.txt"] = _text(pose if k == 0 else np.full((4, 4), -np.inf))
    return write(place, files)


def _text(matrix: np.ndarray) -> str:
    return "\n".join(" ".join(f"{value:f}" for value in row) for row in matrix)


def _centre(cx: float, cy: float) -> np.ndarray:
    matrix = np.zeros((4, 4))
    matrix[0, 2], matrix[1, 2] = cx, cy
    return matrix


def scannet_sens(folder: Path, *, frames: int = 3) -> Path:
    """A .sens file, written as sensorData.h writes one."""
    colour, depth = np.diag([220.0, 221.0, 1, 1]) + _centre(127.0, 97.0), np.diag([58.0, 58.5, 1, 1]) + _centre(31.5, 23.5)
    name = b"StructureSensor"
    pose = np.eye(4)
    pose[:3, :3] = tilted(30)
    parts = [struct.pack("<IQ", 4, len(name)), name]
    parts += [matrix.astype("<f4").tobytes() for matrix in (colour, np.eye(4), depth, np.eye(4))]
    parts += [struct.pack("<ii4I", 2, 1, 256, 192, 64, 48), struct.pack("<fQ", 1000.0, frames)]
    for k in range(frames):
        jpeg, packed = (
            encoded(image(192, 256), "JPEG"),
            zlib.compress(np.where(depth_map(48, 64), depth_map(48, 64) + k, 0).astype("<u2").tobytes()),
        )
        parts += [pose.astype("<f4").tobytes(), struct.pack("<4Q", k, k, len(jpeg), len(packed)), jpeg, packed]
    path = folder / "scene0001_00.sens"
    path.write_bytes(b"".join(parts))
    return path


def sunrgbd(folder: Path) -> Path:
    """One folder of SUN RGB-D, its depth with rotated bits, with one polygon."""
    place = folder / "NYU0001"
    plain = depth_map(96, 128)
    rotated = ((plain << 3) | (plain >> 13)).astype(np.uint16)
    rotation = Rotation.from_euler("x", -12, degrees=True).as_matrix()  # in (x right, z forward, -y), looking down
    polygon = {"x": [20, 60, 60, 20], "y": [30, 30, 70, 70], "object": 0, "XYZ": []}
    return write(
        place,
        {
            "image/NYU0001.jpg": encoded(image(96, 128), "JPEG"),
            "depth/NYU0001.png": grey(rotated),
            "depth_bfx/NYU0001.png": grey(rotated),
            "intrinsics.txt": "103.7 0 65.1 0 103.9 50.7 0 0 1",
            "extrinsics/20140101.txt": _text(np.hstack([np.eye(3), np.zeros((3, 1))])),
            "extrinsics/20150101.txt": _text(np.hstack([rotation, np.zeros((3, 1))])),
            "annotation2Dfinal/index.json": json.dumps(
                {"objects": [{"name": "chair:truncated"}], "frames": [{"polygon": [polygon]}]}
            ),
        },
    )


def nyu(folder: Path, *, raw: bool = True) -> Path:
    """The labelled .mat as MATLAB 7.3 writes it: HDF5 with reversed axes, names as references."""
    import h5py

    path = folder / "nyu_depth_v2_labeled.mat"
    depth = np.stack([metres(depth_map(48, 64)), metres(depth_map(48, 64)) + 1])
    labels = np.zeros((2, 48, 64), dtype=np.uint16)
    labels[:, 10:30, 10:30], labels[:, 30:46, 40:60], labels[:, :9] = 1, 1, 2
    instances = (labels > 0).astype(np.uint8)
    instances[:, 30:46, 40:60] = 2
    with h5py.File(path, "w") as file:
        file["images"] = np.stack([np.asarray(image(48, 64)).T] * 2)
        file["depths"] = np.nan_to_num(depth, nan=2.0).transpose(0, 2, 1)
        if raw:
            file["rawDepths"] = np.nan_to_num(depth, nan=0.0).transpose(0, 2, 1)
        file["labels"], file["instances"] = labels.transpose(0, 2, 1), instances.transpose(0, 2, 1)
        references = []
        for k, name in enumerate(("chair", "wall")):
            file[f"#refs#/{k}"] = np.array([[ord(c)] for c in name], dtype=np.uint16)
            references.append(file[f"#refs#/{k}"].ref)
        file.create_dataset("names", data=np.array([references], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
    return path


def seven_scenes(folder: Path) -> Path:
    """A sequence of 7-Scenes, in which 65535 is not measured."""
    place = folder / "seq-01"
    depth = depth_map(48, 64)
    depth[depth == 0] = 65535
    return write(
        place,
        {
            "frame-000000.color.png": encoded(image(48, 64)),
            "frame-000000.depth.png": grey(depth),
            "frame-000000.pose.txt": _text(np.eye(4)),
        },
    )


def bop(folder: Path) -> Path:
    """Two images of a BOP scene, with another depth_scale each."""
    place = folder / "000048"
    depth = depth_map(48, 64)
    cameras = {
        str(number): {"cam_K": [60.0, 0.0, 31.0, 0.0, 61.0, 23.0, 0.0, 0.0, 1.0], "depth_scale": scale}
        for number, scale in ((1, 1.0), (12, 0.1))
    }
    return write(
        place,
        {
            "scene_camera.json": json.dumps(cameras),
            "rgb/000001.png": encoded(image(48, 64)), "depth/000001.png": grey(depth),
            "rgb/000012.png": encoded(image(48, 64)), "depth/000012.png": grey(depth * 10),
        },
    )  # fmt: skip


def hypersim(folder: Path) -> Path:
    """One frame of Hypersim: distances along the rays, of a wall that is 2 m away along the axis."""
    import h5py

    place = folder / "ai_001_001"
    geometry = place / "images" / "scene_cam_00_geometry_hdf5"
    write(place, {"images/scene_cam_00_final_preview/frame.0003.tonemap.jpg": encoded(image(96, 128), "JPEG")})
    geometry.mkdir(parents=True)
    focal = 64 / np.tan(np.pi / 6)
    x, y = (np.arange(128) - 63.5) / focal, (np.arange(96)[:, None] - 47.5) / focal
    distance = (2.0 * np.sqrt(1 + x * x + y * y)).astype(np.float32)
    distance[:4, :4] = np.nan
    with h5py.File(geometry / "frame.0003.depth_meters.hdf5", "w") as file:
        file["dataset"] = distance
    detail = place / "_detail" / "cam_00"
    detail.mkdir(parents=True)
    with h5py.File(detail / "camera_keyframe_frame_indices.hdf5", "w") as file:
        file["dataset"] = np.array([1, 3])
    with h5py.File(detail / "camera_keyframe_orientations.hdf5", "w") as file:
        file["dataset"] = np.stack([np.eye(3), tilted(18) @ OPENGL])
    return place


def matterport3d(folder: Path) -> Path:
    """One image of a house; cy counts from below."""
    pose = np.eye(4)
    pose[:3, :3] = tilted(22) @ OPENGL
    numbers = " ".join(f"{value:.9f}" for value in pose.ravel())
    conf = "dataset matterport\nn_images 1\nintrinsics_matrix 107.5 0 63 0 107.6 44 0 0 1\n"
    conf += f"scan ab_d1_0.png ab_i1_0.jpg {numbers}\n"
    units = (depth_map(96, 128).astype(int) * 4).astype(np.uint16)
    return write(
        folder / "17DRP5sb8fy",
        {
            "undistorted_camera_parameters/17DRP5sb8fy.conf": conf,
            "undistorted_color_images/ab_i1_0.jpg": encoded(image(96, 128), "JPEG"),
            "undistorted_depth_images/ab_d1_0.png": grey(units),
        },
    )


def replica(folder: Path) -> Path:
    """A room with its camera beside it; 6553.5 units per metre."""
    camera = {"camera": {"w": 120, "h": 68, "fx": 60.0, "fy": 60.0, "cx": 59.5, "cy": 33.5, "scale": 6553.5}}
    pose = np.eye(4)
    pose[:3, :3] = tilted(8)
    units = np.round(depth_map(68, 120) / 1000 * 6553.5).astype(np.uint16)
    root = write(folder / "Replica", {"cam_params.json": json.dumps(camera)})
    write(
        root / "room0",
        {
            "results/frame000000.jpg": encoded(image(68, 120), "JPEG"),
            "results/depth000000.png": grey(units),
            "traj.txt": " ".join(f"{value:.9f}" for value in pose.ravel()) + "\n",
        },
    )
    return root


def vkitti(folder: Path) -> Path:
    """A frame of Virtual KITTI 2: centimetres, the sky 65535, one car in the segmentation."""
    place = folder / "Scene01" / "clone"
    depth = (depth_map(60, 124) // 10).astype(np.uint16)
    depth[depth == 0] = 65535
    ids = np.zeros((60, 124), dtype=np.uint8)
    ids[20:40, 30:60] = 3
    segmentation = Image.fromarray(ids).convert("P")
    segmentation.putdata(ids.ravel().tolist())
    return write(
        place,
        {
            "frames/rgb/Camera_0/rgb_00007.jpg": encoded(image(60, 124), "JPEG"),
            "frames/depth/Camera_0/depth_00007.png": grey(depth),
            "frames/instanceSegmentation/Camera_0/instancegt_00007.png": encoded(segmentation),
            "intrinsic.txt": "frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]\n7 0 72.5 72.5 61.5 29.5\n",
            "extrinsic.txt": "frame cameraID r1,1 r1,2 r1,3 t1 r2,1 r2,2 r2,3 t2 r3,1 r3,2 r3,3 t3 0 0 0 1\n"
            "7 0 1 0 0 5 0 1 0 1.7 0 0 1 2 0 0 0 1\n",
            "info.txt": "trackID label model color\n2 Car Hatchback_Red Red\n",
        },
    )


def kitti(folder: Path) -> Path:
    """A frame of the depth benchmark's selection: 256 units per metre."""
    name = "2011_09_26_drive_0002_sync_{}_0000000005_image_02"
    units = np.round(depth_map(60, 200) / 1000 * 256 * 5).astype(np.uint16)
    return write(
        folder / "val_selection_cropped",
        {
            f"image/{name.format('image')}.png": encoded(image(60, 200)),
            f"groundtruth_depth/{name.format('groundtruth_depth')}.png": grey(units),
            f"velodyne_raw/{name.format('velodyne_raw')}.png": grey(units // 2),
            f"intrinsics/{name.format('image')}.txt": "120.5 0 99.1 0 120.5 29.2 0 0 1",
        },
    )


def kitti_raw(folder: Path) -> Path:
    """A raw drive with annotated depth in another tree and the date's calibration."""
    drive = "2011_09_26_drive_0001_sync"
    units = np.round(depth_map(60, 200) / 1000 * 256 * 5).astype(np.uint16)
    return write(
        folder / "kitti",
        {
            f"raw/2011_09_26/{drive}/image_02/data/0000000005.png": encoded(image(60, 200)),
            f"train/{drive}/proj_depth/groundtruth/image_02/0000000005.png": grey(units),
            "raw/2011_09_26/calib_cam_to_cam.txt": "corner_dist: 9.95e-02\n"
            "P_rect_02: 120.5 0 99.1 4.4 0 120.5 29.2 0.2 0 0 1 0.003\n",
        },
    )


def diode(folder: Path) -> Path:
    """An indoor image of DIODE with its mask."""
    depth = metres(depth_map(48, 64))
    files: dict[str, bytes | str] = {"indoors/scene_00019/scan_00183/00019_00183_indoors_000_010.png": encoded(image(48, 64))}
    for name, array in (
        ("depth", np.nan_to_num(depth, nan=5.0)[..., None]),
        ("depth_mask", np.isfinite(depth).astype(np.float32)),
    ):
        file = io.BytesIO()
        np.save(file, array)
        files[f"indoors/scene_00019/scan_00183/00019_00183_indoors_000_010_{name}.npy"] = file.getvalue()
    return write(folder / "val", files)


def middlebury(folder: Path) -> Path:
    """A stereo scene, its disparity written by Pillow's PFM writer."""
    depth = metres(depth_map(48, 64))
    disparity = np.where(np.isfinite(depth), 0.2 * 80 / np.nan_to_num(depth, nan=1) - 3.5, np.inf).astype(np.float32)
    return write(
        folder / "Motorcycle",
        {
            "im0.png": encoded(image(48, 64)),
            "im1.png": encoded(image(48, 64)),
            "disp0.pfm": encoded(Image.fromarray(disparity), "PPM"),
            "calib.txt": "cam0=[80 0 31.2; 0 80 24.1; 0 0 1]\ncam1=[80 0 34.7; 0 80 24.1; 0 0 1]\ndoffs=3.5\nbaseline=200\n"
            "width=64\nheight=48\n",
        },
    )


def tum(folder: Path) -> Path:
    """A sequence whose colour and depth come at different times."""
    rotation = Rotation.from_matrix(tilted(35)).as_quat()
    units = (depth_map(96, 128).astype(int) * 5).astype(np.uint16)
    files: dict[str, bytes | str] = {
        "rgb.txt": "# color images\n# timestamp filename\n1.000 rgb/1.000.png\n1.033 rgb/1.033.png\n2.000 rgb/2.000.png\n",
        "depth.txt": "# depth maps\n1.015 depth/1.015.png\n1.031 depth/1.031.png\n",
        "groundtruth.txt": "# truth\n1.001 0 0 0 " + " ".join(map(str, rotation)) + "\n",
    }
    files |= {f"rgb/{stamp}.png": encoded(image(96, 128)) for stamp in ("1.000", "1.033", "2.000")}
    files |= {f"depth/{stamp}.png": grey(units) for stamp in ("1.015", "1.031")}
    return write(folder / "rgbd_dataset_freiburg1_xyz", files)


def realsense(folder: Path) -> Path:
    """What Open3D's realsense_recorder.py writes."""
    camera = {"width": 128, "height": 96, "intrinsic_matrix": [110.0, 0, 0, 0, 111.0, 0, 64.5, 47.0, 1]}
    files: dict[str, bytes | str] = {"camera_intrinsic.json": json.dumps(camera)}
    for k in range(2):
        files[f"color/{k:06}.jpg"], files[f"depth/{k:06}.png"] = encoded(image(96, 128), "JPEG"), grey(depth_map(96, 128))
    return write(folder / "realsense", files)


def exr(folder: Path) -> Path:
    """An image and its depth by OpenEXR's own writer."""
    import OpenEXR

    place = write(folder / "render", {"cup.png": encoded(image(48, 64)), "camera.json": json.dumps(_PLAIN)})
    depth = np.nan_to_num(metres(depth_map(48, 64)), nan=1e10)
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, {"Z": depth}).write(
        str(place / "cup.exr")
    )
    return place


_PLAIN = {"fx": 60.0, "fy": 61.0, "cx": 31.0, "cy": 23.0, "width": 64, "height": 48}


def npy(folder: Path) -> Path:
    """Images and arrays in two folders."""
    file = io.BytesIO()
    np.save(file, metres(depth_map(48, 64)))
    files: dict[str, bytes | str] = {"rgb/a.png": encoded(image(48, 64)), "depth/a.npy": file.getvalue()}
    return write(folder / "arrays", {**files, "K.txt": "60 0 31\n0 61 23\n0 0 1\n"})


def pfm(folder: Path) -> Path:
    """An image and a PFM by Pillow."""
    depth = Image.fromarray(metres(depth_map(48, 64)))
    files: dict[str, bytes | str] = {"a.jpg": encoded(image(48, 64), "JPEG"), "a.pfm": encoded(depth, "PPM")}
    return write(folder / "floats", {**files, "a.json": json.dumps(_PLAIN)})


def png(folder: Path) -> Path:
    """An image and 16-bit depth."""
    return write(
        folder / "pairs",
        {"a_rgb.png": encoded(image(48, 64)), "a_depth.png": grey(depth_map(48, 64)), "intrinsics.txt": "60 61 31 23"},
    )


APPLE_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 6.0.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:apdi="http://ns.apple.com/pixeldatainfo/1.0/"
    xmlns:depthData="http://ns.apple.com/depthData/1.0/">
   <apdi:AuxiliaryImageType>disparity</apdi:AuxiliaryImageType>
   <apdi:StoredFormat>1278226488</apdi:StoredFormat><apdi:NativeFormat>1751411059</apdi:NativeFormat>
   <apdi:IntMinValue>0</apdi:IntMinValue><apdi:IntMaxValue>255</apdi:IntMaxValue>
   <apdi:FloatMinValue>0.25</apdi:FloatMinValue><apdi:FloatMaxValue>2</apdi:FloatMaxValue>
   <depthData:Accuracy>{accuracy}</depthData:Accuracy><depthData:Quality>high</depthData:Quality>
   <depthData:IntrinsicMatrixReferenceWidth>1024</depthData:IntrinsicMatrixReferenceWidth>
   <depthData:IntrinsicMatrixReferenceHeight>768</depthData:IntrinsicMatrixReferenceHeight>
   <depthData:IntrinsicMatrix><rdf:Seq>
    <rdf:li>800</rdf:li><rdf:li>0</rdf:li><rdf:li>0</rdf:li><rdf:li>0</rdf:li><rdf:li>804</rdf:li><rdf:li>0</rdf:li>
    <rdf:li>519.5</rdf:li><rdf:li>379.5</rdf:li><rdf:li>1</rdf:li></rdf:Seq></depthData:IntrinsicMatrix>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""
"""What an iPhone writes beside its depth image, with disparities of 0.25 to 2 per metre."""


def disparity(height: int = 48, width: int = 64) -> np.ndarray:
    """An iPhone's depth image: 8 bits, nearer at the right."""
    return np.tile(np.linspace(0, 255, width).round().astype(np.uint8), (height, 1))


def apple_depth(numbers: np.ndarray) -> np.ndarray:
    """Metres of such numbers."""
    return 1 / (0.25 + numbers / 255 * 1.75)


def oriented(orientation: int, focal: int = 0) -> bytes:
    """EXIF data with an orientation, and perhaps a focal length for 35 mm film."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    if focal:
        exif.get_ifd(0x8769)[0xA405] = focal
    return exif.tobytes()


def iphone(folder: Path, *, accuracy: str = "absolute", orientation: int = 1, turned: bool = False) -> Path:
    """A HEIC photo with depth; `turned`: the depth image has a rotation of its own, as the photo has."""
    from heic import heic

    path = folder / "IMG_0001.HEIC"
    xmp = APPLE_XMP.format(accuracy=accuracy).encode()
    photo = heic(image(192, 256), Image.fromarray(disparity()), xmp, exif=oriented(orientation), turned=turned)
    path.write_bytes(photo)
    return path


def iphone_jpeg(folder: Path, *, orientation: int = 1) -> Path:
    """The same as a JPEG with a further image, by Pillow's MPO writer."""
    path = folder / "IMG_0002.JPG"
    path.write_bytes(mpo(APPLE_XMP.format(accuracy="absolute").encode(), orientation=orientation))
    return path


def mpo(xmp: bytes, *, orientation: int = 1) -> bytes:
    """An MPO whose further image has XMP; Pillow writes none there, so it is put in, and the size in the index changed."""
    file = io.BytesIO()
    further = Image.fromarray(disparity())
    image(192, 256).save(file, "MPO", save_all=True, append_images=[further], exif=oriented(orientation), quality=95)
    data = file.getvalue()
    start = data.rindex(b"\xff\xd8\xff")
    segment = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    inserted = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    old, new = (struct.pack("<LL", 0, len(data) - start + more) for more in (0, len(inserted)))
    assert data.count(old) == 1
    return data[:start].replace(old, new) + data[start : start + 2] + inserted + data[start + 2 :]


_RDF = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'


def android(folder: Path, *, units: str = 'GDepth:Units="m"', measure: str = "OpticalAxis", orientation: int = 1) -> Path:
    """A photo with GDepth: the depth image in base64, in extended XMP, written piece by piece."""
    packed = base64.b64encode(encoded(Image.fromarray(disparity()))).decode()
    opening = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    )
    closing = "/></rdf:RDF></x:xmpmeta>"
    names = 'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
    whole = f'{opening}{names} GDepth:Data="{packed}"{closing}'.encode()
    guid = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper()
    told = f'GDepth:Format="RangeInverse" GDepth:Near="0.5" GDepth:Far="4" {units} GDepth:MeasureType="{measure}"'
    standard = f'{opening}{names} {told} xmpNote:HasExtendedXMP="{guid}"{closing}'.encode()
    segments = [b"http://ns.adobe.com/xap/1.0/\0" + standard]
    for start in range(0, len(whole), 100):
        head = b"http://ns.adobe.com/xmp/extension/\0" + guid.encode() + struct.pack(">II", len(whole), start)
        segments.append(head + whole[start : start + 100])
    photo = encoded(image(192, 256), "JPEG", quality=95, exif=oriented(orientation, focal=26))
    inserted = b"".join(b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment for segment in segments)
    path = folder / "PXL_0001.jpg"
    path.write_bytes(photo[:2] + inserted + photo[2:])
    return path


def dynamic_depth(folder: Path) -> Path:
    """A photo of Dynamic Depth 1.0: the depth image follows the photo in the file."""
    depth = encoded(Image.fromarray(disparity()))
    google = "http://ns.google.com/photos/dd/1.0/"
    xmp = (
        f"{_RDF}"
        f'<rdf:Description xmlns:Container="{google}container/" xmlns:Item="{google}item/" xmlns:DepthMap="{google}depthmap/">'
        "<Container:Directory><rdf:Seq>"
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="image/jpeg" Item:Length="0" '
        'Item:DataURI="primary"/></rdf:li>'
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="image/png" Item:Length="{len(depth)}" '
        'Item:DataURI="android/depthmap"/></rdf:li></rdf:Seq></Container:Directory>'
        '<DepthMap:Map DepthMap:Format="RangeLinear" DepthMap:Near="0.5" DepthMap:Far="4.5" DepthMap:Units="m" '
        'DepthMap:DepthURI="android/depthmap"/></rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    path = folder / "DDF_0001.jpg"
    path.write_bytes(encoded(image(192, 256), "JPEG", exif=oriented(1, focal=26), xmp=xmp.encode()) + depth)
    return path


def rosbag(folder: Path) -> Path:
    """A RealSense recording by librealsense's own recorder."""
    data = Path(__file__).parent / "data" / "captures" / "realsense.db3"
    return Path(shutil.copy(data, folder / "take.db3"))


MAKERS: dict[str, Callable[[Path], Path]] = {
    "record3d": record3d, "polycam": polycam, "stray": stray, "arkitscenes": arkitscenes, "scannet": scannet,
    "scannet-sens": scannet_sens, "sunrgbd": sunrgbd, "nyu": nyu, "7scenes": seven_scenes, "bop": bop, "hypersim": hypersim,
    "matterport3d": matterport3d, "replica": replica, "vkitti": vkitti, "kitti": kitti, "diode": diode,
    "middlebury": middlebury, "tum": tum, "realsense": realsense, "rosbag": rosbag,
    "iphone": iphone, "android": android, "exr": exr, "npy": npy, "pfm": pfm, "png": png,
}  # fmt: skip
"""A small capture of each kind, by its name."""
