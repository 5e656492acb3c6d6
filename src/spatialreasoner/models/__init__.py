"""Models behind the protocols: endpoints, local transformers, depth and mask models, and the simulated teachers."""
