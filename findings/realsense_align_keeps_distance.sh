#!/usr/bin/env bash
# librealsense's rs.align(color) moves pixels of depth, and leaves their numbers.
# A good guess: depth aligned to the colour camera is the distance from the colour camera, along its axis.
# Seen (2.59): the aligned image holds the distance from the depth camera. With a colour camera 5 cm ahead of the depth camera a wall
# at 1.500 m stays at 1.500 m, though it is 1.450 m from the colour camera. Of D400 cameras the two lie in one plane, and nobody notices.
# Needs libusb-1.0 of the system. Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check pyrealsense2==2.59.1.11053 numpy==2.4.6
cd "$folder"
"$python" - <<'PYTHON'
import numpy as np
import pyrealsense2 as rs

device, sensors, profiles = rs.software_device(), [], []
for uid, (name, kind, form, size) in enumerate(
    (("Stereo Module", rs.stream.depth, rs.format.z16, 2), ("RGB Camera", rs.stream.color, rs.format.rgb8, 3))
):
    camera, stream = rs.intrinsics(), rs.video_stream()
    camera.width, camera.height, camera.fx, camera.fy, camera.ppx, camera.ppy = 64, 48, 60.0, 60.0, 31.5, 23.5
    stream.type, stream.uid, stream.width, stream.height, stream.fps, stream.bpp = kind, uid, 64, 48, 30, size
    stream.fmt, stream.intrinsics = form, camera
    sensors.append(device.add_sensor(name))
    profiles.append(sensors[-1].add_video_stream(stream))
sensors[0].add_read_only_option(rs.option.depth_units, 0.001)
pose = rs.extrinsics()
pose.rotation, pose.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0.0, 0.0, -0.05]  # points of depth in the colour camera's frame
profiles[0].register_extrinsics_to(profiles[1], pose)
device.create_matcher(rs.matchers.default)
syncer = rs.syncer()
for sensor, profile in zip(sensors, profiles, strict=True):
    sensor.open(profile)
    sensor.start(syncer)
for number in range(5):
    pictures = np.full((48, 64), 1500, np.uint16), np.zeros((48, 64, 3), np.uint8)
    for sensor, profile, pixels in zip(sensors, profiles, pictures, strict=True):
        frame = rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = pixels, pixels.nbytes // 48, pixels.nbytes // (48 * 64)
        frame.timestamp, frame.domain, frame.frame_number = number * 33.0, rs.timestamp_domain.system_time, number
        frame.profile = profile.as_video_stream_profile()
        if pixels.ndim == 2:
            frame.depth_units = 0.001
        sensor.on_video_frame(frame)
    frames = syncer.wait_for_frames()
    if frames.get_depth_frame() and frames.get_color_frame():
        break
aligned = np.asanyarray(rs.align(rs.stream.color).process(frames).get_depth_frame().get_data())
print(f"pyrealsense2 2.59.1: aligned depth in the middle {aligned[24, 32]} mm; from the colour camera it is 1450")
if aligned[24, 32] != 1500:
    raise SystemExit("changed: aligned depth is not the distance from the depth camera")
PYTHON
