"""A reward that lets every step live, for searches whose replies are what is tested, and a search by it."""

from random import Random

from builders import measured_balls
from spatialreasoner.core.types import RewardBreakdown
from spatialreasoner.inference.endpoint import Limits
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.search.run import RunConfig, run_search
from spatialreasoner.teachers import scripted


class Fair:
    """Every step is fair, every answer right."""

    async def rate(self, question, prefix, step):
        return {"spatial": 0.5}

    async def score(self, question, text):
        return RewardBreakdown(visual=1.0, spatial_description=1.0, spatial_reasoning=1.0, logical=1.0)

    def succeeds(self, question, text):
        return True


def search_through(served, scene, out, *, samples, candidates):
    """Two questions to a server and to a simulated teacher; the server's counts, once the teacher has found both answers."""
    scenes = {scene.id: scene}
    result = run_search(
        questions=ask_about(measured_balls(), Random(0), 2),
        scenes=scenes,
        policies=[served, scripted("careful", scenes)],
        reward=Fair(),
        config=RunConfig(samples_per_policy=samples, candidates=candidates, limits={served.name: Limits(concurrency=2)}),
        out=out,
        inputs={},
    )
    assert (result.unfinished, result.stopped) == ({}, None)
    assert result.summary["outcomes"] == {"found": 2}
    return result.summary["by_policy"][served.name]
