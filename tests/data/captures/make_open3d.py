"""How the files of open3d/ were made: Open3D 0.20.0's own writer of cameras, and what it reads of SUN RGB-D and TUM depth.

python make_open3d.py open3d        with open3d==0.20.0
"""

import sys
from pathlib import Path

import numpy as np
import open3d
from PIL import Image

folder = Path(sys.argv[1])
rows, columns = np.indices((96, 128))
millimetres = (1000 + np.round(1500 * columns / 128 + 400 * rows / 96)).astype(int)
millimetres[:12, :16], millimetres[90:, 100:] = 0, 8600
Image.fromarray(((millimetres << 3) | (millimetres >> 13)).astype(np.uint16)).save(folder / "sun.png")
Image.fromarray((millimetres * 5).astype(np.uint16)).save(folder / "tum.png")
Image.new("RGB", (128, 96), "grey").save(folder / "colour.png")
read, make = open3d.io.read_image, open3d.geometry.RGBDImage
colour = read(str(folder / "colour.png"))
sun = make.create_from_sun_format(colour, read(str(folder / "sun.png"))).depth
tum = make.create_from_tum_format(colour, read(str(folder / "tum.png"))).depth
np.savez_compressed(folder / "depth.npz", sun=np.asarray(sun), tum=np.asarray(tum))
camera = open3d.camera.PinholeCameraIntrinsic(128, 96, 110.0, 111.0, 64.5, 47.0)
open3d.io.write_pinhole_camera_intrinsic(str(folder / "camera_intrinsic.json"), camera)
