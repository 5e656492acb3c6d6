import numpy as np
import pytest
from scipy.spatial import ConvexHull

from spatialreasoner.scenes.synthetic.shapes import FURNITURE, SHAPE_KINDS, part_points, shape


@pytest.mark.parametrize("kind", SHAPE_KINDS)
def test_a_shape_fills_the_unit_cube_and_stands_on_its_lower_face(kind):
    vertices = shape(kind).vertices
    np.testing.assert_allclose(vertices[:, 1].min(), -0.5)
    np.testing.assert_allclose(vertices[:, 1].max(), 0.5)
    extent = vertices.max(axis=0) - vertices.min(axis=0)
    assert (extent <= 1 + 1e-12).all()
    # A hexagon is narrower across its flat sides, and a stool's legs spread less than its seat.
    assert extent[[0, 2]].min() > 0.86


@pytest.mark.parametrize("kind", SHAPE_KINDS)
def test_every_part_is_closed_and_its_normals_point_outwards(kind):
    for part in shape(kind).parts:
        edges = np.concatenate([part.faces[:, [0, 1]], part.faces[:, [1, 2]], part.faces[:, [2, 0]]])
        assert {tuple(edge) for edge in edges} == {tuple(edge[::-1]) for edge in edges}
        corners = part.vertices[part.faces]
        outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (np.einsum("fc,fkc->fk", outward, part.normals) > 0).all()
        assert (np.einsum("fc,fc->f", outward, corners[:, 0] - part.vertices.mean(axis=0)) > 0).all()
        np.testing.assert_allclose(np.linalg.norm(part.normals, axis=2), 1)


@pytest.mark.parametrize("kind", SHAPE_KINDS)
def test_the_hulls_in_the_file_are_those_of_the_parts(kind):
    """Whoever changes a kind of thing must find its hulls anew: `python scripts/convex_hulls.py`."""
    form, points = shape(kind), part_points(kind)
    whole = ConvexHull(np.concatenate(points))
    assert set(form.hull) == set(whole.vertices.tolist())
    for part, corners in zip(form.parts, points, strict=True):
        hull, outline = ConvexHull(corners), ConvexHull(corners[:, [0, 2]])
        a, b, c = (corners[part.faces[:, k]] - corners.mean(axis=0) for k in range(3))
        np.testing.assert_allclose(np.einsum("fc,fc->f", a, np.cross(b, c)).sum() / 6, hull.volume)
        assert set(part.faces.ravel().tolist()) == set(hull.vertices.tolist())
        assert part.footprint.tolist() == corners[outline.vertices][:, [0, 2]].tolist()


@pytest.mark.parametrize(
    ("kind", "centre"),
    [
        ("box", (0, 0, 0)),
        ("ball", (0, 0, 0)),
        ("cone", (0, 0.25, 0)),  # a quarter of the height above the base
        ("pyramid", (0, 0.25, 0)),
        ("wedge", (1 / 6, 1 / 6, 0)),  # the centroid of its triangle
    ],
)
def test_mass_centres_of_textbook_solids(kind, centre):
    np.testing.assert_allclose(shape(kind).mass_centre, centre, atol=1e-9)


def test_furniture_weighs_over_its_feet():
    for kind in FURNITURE:
        feet = shape(kind).vertices[shape(kind).vertices[:, 1] == 0.5]
        x, _, z = shape(kind).mass_centre
        assert feet[:, 0].min() < x < feet[:, 0].max()
        assert feet[:, 2].min() < z < feet[:, 2].max()


def test_a_ball_is_smooth_and_a_box_is_not():
    ball, box = shape("ball").parts[0], shape("box").parts[0]
    radial = ball.vertices[ball.faces] / 0.5
    assert np.einsum("fkc,fkc->fk", radial, ball.normals).min() > 0.998  # 3.6 degrees
    assert set(np.abs(box.normals).round(9).ravel()) == {0.0, 1.0}
