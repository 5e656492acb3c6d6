"""Simulated teachers: they know the truth of a scene, misjudge it each in its own way, and write whole LongCoT answers.

They ship with the package, so that the demo, the tests and the quick start run without any model: `requests` reads what is
asked, `facts` the truth, `profiles` says who errs how, `perception` makes the errors, `wording` and `writer` write the
answer, `policy` is the seam.
"""

from spatialreasoner.teachers.policy import open_teacher, scripted
from spatialreasoner.teachers.profiles import PROFILES, Profile

__all__ = ["PROFILES", "Profile", "open_teacher", "scripted"]
