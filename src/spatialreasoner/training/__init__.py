"""Training of vision-language models: SFT, DPO and fDPO.

Start at `loss` (the method, pure tensors), then `collate` (text to tokens and segments), `shared_prefix` (one forward for a
pair), `fdpo` (the trainer) and `run` (what `spatialreasoner train` calls). Importing this package imports nothing heavy.
"""
