"""The nano without torch: the same weights in NumPy, for one question that somebody waits for.

Importing torch and transformers takes ten times as long as such an answer. This package imports only NumPy, SciPy and
`tokenizers`. For many questions at once `inference.backends.hf` is faster, since it works in batches; answers are equal up to
rounding.
"""

from spatialreasoner.nano.numpy.policy import LightNano, is_nano

__all__ = ["LightNano", "is_nano"]
