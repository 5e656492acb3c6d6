"""Questions of the 24 categories of SpatialRGPT-Bench, with true answers from geometry."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.questions.files import prompt, read_questions
    from spatialreasoner.questions.generate import QuestionsConfig, ask_about, write_questions

__all__ = ["QuestionsConfig", "ask_about", "prompt", "read_questions", "write_questions"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "QuestionsConfig": ".generate",
        "ask_about": ".generate",
        "prompt": ".files",
        "read_questions": ".files",
        "write_questions": ".generate",
    },
)
