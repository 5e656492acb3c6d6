"""How realsense.bag, realsense.db3 and realsense.npz were made: librealsense's own recorder, player and `align`.

    python make_realsense.py realsense.bag      with pyrealsense2==2.55.1.6486 (records ROS 1) and numpy<2
    python make_realsense.py realsense.db3      with pyrealsense2==2.59.1.11053 (records ROS 2 alone)

Each run records three frames of a software device and writes what the player says of them; realsense.npz holds raw depth (d),
colour (c) and aligned depth (a) of frames 1 and 2 of both.
"""

import math
import sys
import time

import numpy as np
import pyrealsense2 as rs

WIDTH, HEIGHT, DEPTH_WIDTH, DEPTH_HEIGHT, UNIT = 64, 48, 32, 24, 0.00025


def camera(width, height, focal, cx, cy):
    made = rs.intrinsics()
    made.width, made.height, made.fx, made.fy, made.ppx, made.ppy = width, height, focal, focal + 1, cx, cy
    made.model, made.coeffs = rs.distortion.none, [0] * 5
    return made


def stream(kind, uid, size, bytes_a_pixel, form, seen_by):
    made = rs.video_stream()
    made.type, made.index, made.uid, made.fps, made.bpp, made.fmt = kind, 0, uid, 30, bytes_a_pixel, form
    made.width, made.height, made.intrinsics = *size, seen_by
    return made


def frame(pixels, bytes_a_pixel, number, profile):
    made = rs.software_video_frame()
    made.pixels, made.stride, made.bpp = pixels, pixels.shape[1] * bytes_a_pixel, bytes_a_pixel
    made.timestamp, made.domain, made.frame_number = number * 33.3, rs.timestamp_domain.system_time, number
    made.profile = profile.as_video_stream_profile()
    return made


def record(path):
    device = rs.software_device()
    depths, colours = device.add_sensor("Stereo Module"), device.add_sensor("RGB Camera")
    small, large = camera(DEPTH_WIDTH, DEPTH_HEIGHT, 30.0, 15.5, 11.5), camera(WIDTH, HEIGHT, 62.0, 31.0, 24.0)
    depth = depths.add_video_stream(stream(rs.stream.depth, 0, (DEPTH_WIDTH, DEPTH_HEIGHT), 2, rs.format.z16, small))
    colour = colours.add_video_stream(stream(rs.stream.color, 1, (WIDTH, HEIGHT), 3, rs.format.rgb8, large))
    depths.add_read_only_option(rs.option.depth_units, UNIT)
    pose, angle = rs.extrinsics(), math.radians(3)
    pose.rotation = [math.cos(angle), 0, -math.sin(angle), 0, 1, 0, math.sin(angle), 0, math.cos(angle)]
    pose.translation = [0.015, 0.001, -0.002]
    depth.register_extrinsics_to(colour, pose)
    device.create_matcher(rs.matchers.default)
    recorder = rs.recorder(path, device)
    sensors, queue = recorder.query_sensors()[:2], rs.frame_queue(50)
    for sensor, profile in zip(sensors, (depth, colour), strict=True):
        sensor.open(profile)
        sensor.start(queue)
    columns, rows = np.meshgrid(np.arange(DEPTH_WIDTH), np.arange(DEPTH_HEIGHT))
    for k in range(3):
        units = np.round((1 + columns / DEPTH_WIDTH * 1.5 + rows / DEPTH_HEIGHT * 0.3 + k * 0.01) / UNIT).astype(np.uint16)
        units[:4, :4] = 0
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[..., 0], pixels[..., 1], pixels[..., 2] = np.arange(WIDTH) * 3, (np.arange(HEIGHT) * 4)[:, None], 40 * k
        sent = frame(units, 2, k, depth)
        sent.depth_units = UNIT
        depths.on_video_frame(sent)
        colours.on_video_frame(frame(pixels, 3, k, colour))
        time.sleep(0.1)
    time.sleep(0.5)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del recorder


def play(path):
    config, pipeline, align = rs.config(), rs.pipeline(), rs.align(rs.stream.color)
    rs.config.enable_device_from_file(config, path, repeat_playback=False)
    pipeline.start(config).get_device().as_playback().set_real_time(False)
    found = {}
    while True:
        try:
            frames = pipeline.wait_for_frames(2000)
        except RuntimeError:
            break
        depth, colour = frames.get_depth_frame(), frames.get_color_frame()
        if depth and colour:
            aligned = align.process(frames).get_depth_frame()
            for name, each in (("a", aligned), ("c", colour), ("d", depth)):
                found[f"{name}{depth.frame_number}"] = np.asanyarray(each.get_data()).copy()
    pipeline.stop()
    return found


if __name__ == "__main__":
    record(sys.argv[1])
    np.savez_compressed(f"{sys.argv[1]}.npz", **play(sys.argv[1]))
