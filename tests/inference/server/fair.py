"""A reward that lets every stage live, for searches whose replies are what is tested."""

from spatialreasoner.core.types import RewardBreakdown


class Fair:
    """Every stage is fair, every answer right."""

    async def rate(self, question, prefix, step):
        return {"spatial": 0.5}

    async def score(self, question, text):
        return RewardBreakdown(visual=1.0, spatial_description=1.0, spatial_reasoning=1.0, logical=1.0)

    def succeeds(self, question, text):
        return True
