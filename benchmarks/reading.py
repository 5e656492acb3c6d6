"""How many responses and answers are read a second, beside one plain scan of the same text for words and numbers.

Run: python benchmarks/reading.py
"""

import re
import time
from collections.abc import Callable

from spatialreasoner.evaluation.answers import judge
from spatialreasoner.language.quantities import find_quantities
from spatialreasoner.language.statements import extract

RESPONSE = """<description>The picture shows a room. <region1> is a brown wardrobe against the wall, and <region2> is a small
chair in front of it. The wardrobe is about 1.2 m wide and 2.0 m tall.</description>
<reasoning>### Rationale
I estimate the width of <region1> and of <region2> and compare the two.
### Let's think step by step
### Step 1
The chair <region2> is approximately 0.5 m wide, as chairs of this kind usually are.
### Step 2
<region1> spans a little more than twice that in the picture, and it stands 0.4 m farther away from the camera than <region2>.
### Step 3
So 2 x 0.5 m = 1.0 m, plus 0.2 m for the difference in depth gives 1.2 m. <region1> is to the left of <region2>.</reasoning>
### In Conclusion
<region1> is wider than <region2>; the distance between them is roughly 1.5 meters."""
LABELS = ("wardrobe", "chair")
QUESTION = "What is the width of Region [0]?"
_FLOOR = re.compile(r"[a-z]+|\d+(?:\.\d+)?", re.IGNORECASE)


def seconds(run: Callable[[], object], *, times: int = 200, rounds: int = 7) -> float:
    """CPU time of one call: the best of several rounds, for other processes disturb the rest."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(times):
            run()
        best = min(best, (time.process_time() - start) / times)
    return best


def main() -> None:
    """Print a line for each reader: calls per second, and its cost as a multiple of the plain scan."""
    floor = seconds(lambda: _FLOOR.findall(RESPONSE))
    readers: dict[str, Callable[[], object]] = {
        "plain scan": lambda: _FLOOR.findall(RESPONSE),
        "quantities.find": lambda: find_quantities(RESPONSE),
        "assertions.extract": lambda: extract(RESPONSE, LABELS),
        "answers.judge, a sentence": lambda: judge("width_data", QUESTION, "It is 1.82 meters wide.", "About 6 feet."),
        "answers.judge, a response": lambda: judge("width_data", QUESTION, "1.20 meters", RESPONSE),
    }
    print(f"a response of {len(RESPONSE)} characters")
    for name, run in readers.items():
        cost = seconds(run)
        print(f"{name:28} {1 / cost:10,.0f} per second {cost * 1e6:8.0f} us {cost / floor:6.1f} x the plain scan")


if __name__ == "__main__":
    main()
