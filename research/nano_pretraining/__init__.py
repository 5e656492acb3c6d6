"""Pretraining of the nano's base from nothing: `python -m research.nano_pretraining --out DIR`."""
