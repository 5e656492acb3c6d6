"""Regions from the tools people label with: one module a tool; `finder.AnnotatedRegions` opens any of them."""
