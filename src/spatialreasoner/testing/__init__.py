"""Tiny models of every supported family, for tests and examples."""
