"""Regions from the tools that people label with."""
