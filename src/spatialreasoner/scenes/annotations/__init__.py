"""Regions from the tools people label with: one module per tool; `finder.AnnotatedRegions` opens any of them."""
