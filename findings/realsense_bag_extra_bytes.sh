#!/usr/bin/env bash
# librealsense 2.55 records ROS 1 bags whose images ROS 1 readers refuse (rosbags 0.11).
# A good guess: a .bag of RealSense's recorder is a ROS bag: its messages are those of sensor_msgs/Image.
# Seen: four bytes (of depth images the unit, a float) follow each image within its message, so a reader that checks the length,
# such as rosbags', raises "ROS1 message size mismatch"; depth is called mono16, which has no unit, not 16UC1.
# Needs libusb-1.0 of the system. Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check pyrealsense2==2.55.1.6486 rosbags==0.11.9 'numpy<2'
cd "$folder"
"$python" - <<'PYTHON'
import struct
import time
from pathlib import Path

import numpy as np
import pyrealsense2 as rs
from rosbags.highlevel import AnyReader, AnyReaderError


def record() -> None:
    device = rs.software_device()
    sensor = device.add_sensor("Stereo Module")
    camera = rs.intrinsics()
    camera.width, camera.height, camera.fx, camera.fy, camera.ppx, camera.ppy = 32, 24, 30.0, 30.0, 15.5, 11.5
    stream = rs.video_stream()
    stream.type, stream.uid, stream.width, stream.height, stream.fps, stream.bpp = rs.stream.depth, 0, 32, 24, 30, 2
    stream.fmt, stream.intrinsics = rs.format.z16, camera
    profile = sensor.add_video_stream(stream)
    sensor.add_read_only_option(rs.option.depth_units, 0.001)
    recorder = rs.recorder("take.bag", device)
    recorded, queue = recorder.query_sensors()[0], rs.frame_queue(5)
    recorded.open(profile)
    recorded.start(queue)
    frame = rs.software_video_frame()
    frame.pixels, frame.stride, frame.bpp = np.full((24, 32), 1500, np.uint16), 64, 2
    frame.timestamp, frame.domain, frame.frame_number = 0.0, rs.timestamp_domain.system_time, 0
    frame.profile, frame.depth_units = profile.as_video_stream_profile(), 0.001
    sensor.on_video_frame(frame)
    time.sleep(0.5)
    recorded.stop()
    recorded.close()


record()  # the bag is complete once all of this is gone
with AnyReader([Path("take.bag")]) as bag:
    (images,) = [each for each in bag.connections if each.topic.endswith("image/data")]
    ((_, _, raw),) = list(bag.messages(connections=[images]))
    try:
        bag.deserialize(raw, images.msgtype)
    except AnyReaderError as error:
        print(f"pyrealsense2 2.55.1, rosbags 0.11.9: {error}")
    else:
        raise SystemExit("changed: the image is read")
at = 12
for skip in (0, 8):
    at += skip
    at += 4 + struct.unpack_from("<I", raw, at)[0]
encoding = bytes(raw[at - 6 : at])
end = at + 9 + struct.unpack_from("<I", raw, at + 5)[0]
rest = bytes(raw[end:])
print(f"encoding {encoding}, after the image: {rest.hex()}")
if encoding != b"mono16" or len(rest) != 4 or abs(struct.unpack("<f", rest)[0] - 0.001) > 1e-9:
    raise SystemExit("changed: what follows the image is not the unit of depth")
PYTHON
