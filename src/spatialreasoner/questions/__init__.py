"""Questions of the 24 categories of SpatialRGPT-Bench, with the truth that geometry tells."""
