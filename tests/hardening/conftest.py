"""What is tried here is what the scripts in `benchmarks` try; at the end of the path, so that it hides no other module."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
