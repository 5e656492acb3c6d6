"""The nano without torch: the same weights in NumPy, for one question that somebody waits for.

Importing torch and transformers takes ten times as long as such an answer. Here nothing but NumPy, SciPy and `tokenizers` is
imported. For many questions at once `inference.backends.hf` is faster, which works in batches; answers are the same, but for
rounding.
"""

from spatialreasoner.nano.numpy.policy import LightNano, is_nano

__all__ = ["LightNano", "is_nano"]
