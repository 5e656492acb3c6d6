"""Bad inputs, by group: what `benchmarks/bad_inputs.py` and the tests try, and what must come of each."""
