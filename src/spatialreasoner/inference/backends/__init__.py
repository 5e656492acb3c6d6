"""Ways to reach a model: an OpenAI-compatible endpoint, transformers in this process; and depth, mask and embedding models."""
