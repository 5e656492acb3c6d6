#!/usr/bin/env bash
# librealsense 2.59 does not record .bag any more, and what it records has no camera where ROS has one.
# A good guess: rs.recorder("take.bag", device) works as in all versions before; a ROS 2 recording has sensor_msgs/CameraInfo at
# `camera_info`, and poses between cameras in /tf_static.
# Seen: a name that does not end in .db3 is refused; `Depth_0/camera_info` and `tf/ref_N` are std_msgs/String
# ("width=32;height=24;fx=...", "rotation=...;translation=..."), the rotation column by column; and the pose is not that of the
# stream in the reference but takes points of the reference to the stream.
# Needs libusb-1.0 of the system. Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check pyrealsense2==2.59.1.11053 numpy==2.4.6
cd "$folder"
"$python" - <<'PYTHON'
import math
import sqlite3
import time

import numpy as np
import pyrealsense2 as rs

device, sensors, profiles = rs.software_device(), [], []
for uid, (name, kind, form, size) in enumerate(
    (("Stereo Module", rs.stream.depth, rs.format.z16, 2), ("RGB Camera", rs.stream.color, rs.format.rgb8, 3))
):
    camera, stream = rs.intrinsics(), rs.video_stream()
    camera.width, camera.height, camera.fx, camera.fy, camera.ppx, camera.ppy = 32, 24, 30.0, 30.0, 15.5, 11.5
    stream.type, stream.uid, stream.width, stream.height, stream.fps, stream.bpp = kind, uid, 32, 24, 30, size
    stream.fmt, stream.intrinsics = form, camera
    sensors.append(device.add_sensor(name))
    profiles.append(sensors[-1].add_video_stream(stream))
pose, angle = rs.extrinsics(), math.radians(10)
pose.rotation = [math.cos(angle), 0, -math.sin(angle), 0, 1, 0, math.sin(angle), 0, math.cos(angle)]
pose.translation = [0.015, 0.0, 0.0]
profiles[0].register_extrinsics_to(profiles[1], pose)  # takes points of depth to colour
try:
    rs.recorder("take.bag", device)
except RuntimeError as error:
    print(f"pyrealsense2 2.59.1: {error}")
else:
    raise SystemExit("changed: a .bag is recorded")
recorder = rs.recorder("take.db3", device)
recorded, queue = recorder.query_sensors()[:2], rs.frame_queue(5)
for each, profile in zip(recorded, profiles, strict=True):
    each.open(profile)
    each.start(queue)
for sensor, profile, pixels in zip(
    sensors, profiles, (np.full((24, 32), 1500, np.uint16), np.zeros((24, 32, 3), np.uint8)), strict=True
):
    frame = rs.software_video_frame()
    frame.pixels, frame.stride, frame.bpp = pixels, pixels.nbytes // 24, pixels.nbytes // (24 * 32)
    frame.timestamp, frame.domain, frame.frame_number = 0.0, rs.timestamp_domain.system_time, 0
    frame.profile = profile.as_video_stream_profile()
    sensor.on_video_frame(frame)
time.sleep(0.5)
for each in recorded:
    each.stop()
    each.close()
del recorder
rows = sqlite3.connect("take.db3").execute("select name, type, data from topics join messages on topics.id = topic_id")
told = {name: (kind, data[8:-1].decode()) for name, kind, data in rows if kind == "std_msgs/msg/String"}
kind, camera = next(value for name, value in told.items() if name.endswith("Depth_0/camera_info"))
_, moved = next(value for name, value in told.items() if "Color_0/tf/ref_" in name)
print(camera, moved, sep="\n")
fields = dict(part.split("=") for part in moved.split(";"))
rotation = [float(number) for number in fields["rotation"].split(",")]
if not camera.startswith("width=32;height=24;fx=30"):
    raise SystemExit("changed: the camera is told otherwise")
if abs(rotation[2] + math.sin(angle)) > 1e-4 or not fields["translation"].startswith("0.015"):
    raise SystemExit("changed: the pose is written otherwise")
PYTHON
