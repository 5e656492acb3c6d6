"""M3CTS: a tree search over the stages of an answer, in which several models write in one tree (paper, appendix B and C).

`tree` holds nodes and arithmetic, `m3cts` the four phases, `run` many questions at once with `journal`, `endpoint` and
`budget` behind it. The search knows neither models nor rewards: it is given policies and a reward function.
"""
