import numpy as np
import pytest

from spatialreasoner.scenes.synthetic.layout import sample
from spatialreasoner.scenes.synthetic.mesh import mesh, unit
from spatialreasoner.scenes.synthetic.shapes import SHAPE_KINDS
from spatialreasoner.scenes.synthetic.world import Thing


def thing(kind, **changes):
    base = {"colour": "red", "rgb": (0.5, 0, 0), "centre": (1, 0, 4), "size": (2, 1, 0.5), "yaw": 0.7, "supported_by": None}
    return Thing(kind=kind, **{**base, **changes})


@pytest.mark.parametrize("kind", SHAPE_KINDS)
def test_normals_stay_upright_on_stretched_and_turned_things(kind):
    """A flat face's normal is at right angles to its sides; a curved one's points the same way as the face."""
    made = mesh([thing(kind)])
    a, b, c = made.vertices[made.faces].swapaxes(0, 1)
    faces = unit(np.cross(b - a, c - a))
    agreement = np.einsum("fc,fkc->fk", faces, made.normals)
    np.testing.assert_allclose(agreement[~made.curved], 1, atol=1e-4)
    assert (agreement > 0.5).all()


def test_each_face_knows_its_thing():
    things = sample(0, 3).things
    made = mesh(things)
    assert made.faces.max() == len(made.vertices) - 1
    for index, one in enumerate(things):
        own = made.vertices[np.unique(made.faces[made.owner == index])]
        np.testing.assert_allclose(own.min(axis=0), one.box()[0], atol=1e-6)
        np.testing.assert_allclose(own.max(axis=0), one.box()[1], atol=1e-6)
