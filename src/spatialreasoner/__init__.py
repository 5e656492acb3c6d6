"""SpatialReasoner-R1: spatial reasoning for vision-language models by fine-grained preference optimization.

The package is a pipeline of stages joined by files: scenes, questions, search, pairs, training, generation, scoring,
report. Start reading at `types` and `protocols`. Importing the package imports nothing heavy.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
