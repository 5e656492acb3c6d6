"""The study: what preference training by segments is worth, measured against its controls on the embedded model.

`arms` says what is compared, `gaps` how its training rows differ, `jobs` what has to be done and in which order, `work` does
one job, `runner` does them all on the cores there are, `effects` and `analysis` turn results into estimates with intervals,
`claims` sets them beside the paper's, `tables` and `figures` show them, and `run` is the whole.
"""
