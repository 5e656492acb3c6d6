"""Scores one can trust and a report worth reading.

Predictions in the official format of SpatialRGPT-Bench are judged offline (`answers`), added up with intervals (`score`), and
shown beside the search, the pairs and the training that led to them (`report`).
"""
