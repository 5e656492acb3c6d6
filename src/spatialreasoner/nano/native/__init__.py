"""The nano's decoder in C, for many answers at once; where it was not built, PyTorch does its work."""
