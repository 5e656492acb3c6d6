"""Makes open3d.json: what Open3D 0.19's own functions say of clouds that this package measures, too.

    PYTHONPATH=src python tests/data/open3d/make.py points /tmp/points.npz     # with this package
    python tests/data/open3d/make.py measure /tmp/points.npz                   # with open3d==0.19.0

The clouds are those of every region of `ROOMS` rendered rooms with the noise of a structured light camera, levelled. Open3D
removes statistical outliers (10 neighbours, ratio 1.2), takes the mean of each voxel (edge max(1 cm, scale / 40)), and finds
clusters (DBSCAN, 0.2 m, 10 points), of which the largest counts: SpatialRGPT's pipeline, by Open3D alone.
"""

import json
import sys
from pathlib import Path

import numpy as np

ROOMS, SEED = 8, 33


def noisy_room(number):
    """The scene, and its depth with noise."""
    from spatialreasoner.scenes.synthetic.write import make_scene

    made = make_scene(SEED, number)
    noise = np.random.default_rng(number).standard_normal(made.depth.shape)
    return made.scene, (made.depth + (0.0012 + 0.0019 * (made.depth - 0.4) ** 2) * noise).astype(np.float32)


def points(path):
    from spatialreasoner.scenes.geometry import level, unproject
    from spatialreasoner.scenes.masks import decode

    clouds = {}
    for number in range(ROOMS):
        scene, depth = noisy_room(number)
        lifted = unproject(depth, scene.intrinsics)
        for region in scene.regions:
            clouds[f"{number} {region.id}"] = level(lifted[decode(region.mask)], scene.gravity)
    np.savez(path, **clouds)


def measure(path):
    import open3d

    assert open3d.__version__ == "0.19.0", open3d.__version__
    clouds = np.load(path)
    cleaned = {}
    for name in clouds.files:
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(clouds[name]))
        cloud, _ = cloud.remove_statistical_outlier(nb_neighbors=10, std_ratio=1.2)
        scale = np.linalg.norm(np.std(np.asarray(cloud.points), axis=0)) * 3
        cloud = cloud.voxel_down_sample(max(0.01, scale / 40))
        labels = np.asarray(cloud.cluster_dbscan(eps=0.2, min_points=10))
        if (labels >= 0).any():
            largest = np.bincount(labels[labels >= 0]).argmax()
            cleaned[name] = cloud.select_by_index(np.flatnonzero(labels == largest))
    rows = []
    for name, cloud in cleaned.items():
        box = cloud.get_axis_aligned_bounding_box()
        width, height, depth = box.get_extent()
        far = float(np.linalg.norm(cloud.get_center()))
        room, region = name.split()
        for quantity, value in (("width", width), ("height", height), ("depth", depth), ("camera_distance", far)):
            rows.append([int(room), quantity, [region], float(value)])
    for first in cleaned:
        for second in cleaned:
            if first.split()[0] == second.split()[0] and first < second:
                rows += pair(first, second, cleaned[first], cleaned[second])
    out = {"made by": "open3d 0.19.0, make.py beside this file", "rows": rows}
    (Path(__file__).parent / "open3d.json").write_text(json.dumps(out) + "\n")


def pair(first, second, one, other):
    (room, a), (_, b) = first.split(), second.split()
    there, back = np.asarray(one.compute_point_cloud_distance(other)), np.asarray(other.compute_point_cloud_distance(one))
    middle = one.get_axis_aligned_bounding_box().get_center() - other.get_axis_aligned_bounding_box().get_center()
    direct = float(np.concatenate([there, back]).mean())
    values = (("distance", direct), ("horizontal_distance", abs(middle[0])), ("vertical_distance", abs(middle[1])))
    return [[int(room), quantity, [a, b], float(value)] for quantity, value in values]


if __name__ == "__main__":
    {"points": points, "measure": measure}[sys.argv[1]](sys.argv[2])
