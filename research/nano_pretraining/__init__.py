"""Pretraining of the nano from nothing: `python -m research.nano_pretraining --out DIR`."""
