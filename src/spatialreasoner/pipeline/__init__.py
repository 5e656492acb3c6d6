"""One verb per stage, each in a module of its own: what users and the command line call.

Every verb has an asynchronous one beside it whose name ends in `_async`; the others work inside a running event loop too. All
take their input first and everything else by keyword. They return a `Result`, or what they find in one answer.
"""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.pipeline.converting import convert_model, convert_model_async
    from spatialreasoner.pipeline.evaluating import Evaluation, evaluate, evaluate_async
    from spatialreasoner.pipeline.explaining import explain_text, explain_text_async
    from spatialreasoner.pipeline.generating import generate, generate_async
    from spatialreasoner.pipeline.judging import judge_answer, judge_answer_async
    from spatialreasoner.pipeline.measuring import measure, measure_async
    from spatialreasoner.pipeline.online import OnlineConfig, train_online, train_online_async
    from spatialreasoner.pipeline.pairing import build_pairs, build_pairs_async
    from spatialreasoner.pipeline.questions import make_questions, make_questions_async
    from spatialreasoner.pipeline.reporting import report, report_async
    from spatialreasoner.pipeline.result import Result
    from spatialreasoner.pipeline.rewarding import explain, explain_async, reward, reward_async
    from spatialreasoner.pipeline.scenes import (
        make_scenes,
        make_scenes_async,
        read_benchmark,
        read_benchmark_async,
        read_capture,
        read_capture_async,
        read_photos,
        read_photos_async,
        read_rgbd,
        read_rgbd_async,
    )
    from spatialreasoner.pipeline.searching import ClusterConfig, search, search_async
    from spatialreasoner.pipeline.training import train, train_async
    from spatialreasoner.pipeline.workforce import RewardJudgesConfig
    from spatialreasoner.scenes.files import load_scenes

__all__ = [
    "ClusterConfig",
    "Evaluation",
    "OnlineConfig",
    "Result",
    "RewardJudgesConfig",
    "build_pairs",
    "build_pairs_async",
    "convert_model",
    "convert_model_async",
    "evaluate",
    "evaluate_async",
    "explain",
    "explain_async",
    "explain_text",
    "explain_text_async",
    "generate",
    "generate_async",
    "judge_answer",
    "judge_answer_async",
    "load_scenes",
    "make_questions",
    "make_questions_async",
    "make_scenes",
    "make_scenes_async",
    "measure",
    "measure_async",
    "read_benchmark",
    "read_benchmark_async",
    "read_capture",
    "read_capture_async",
    "read_photos",
    "read_photos_async",
    "read_rgbd",
    "read_rgbd_async",
    "report",
    "report_async",
    "reward",
    "reward_async",
    "search",
    "search_async",
    "train",
    "train_async",
    "train_online",
    "train_online_async",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        **dict.fromkeys(("convert_model", "convert_model_async"), ".converting"),
        **dict.fromkeys(("Evaluation", "evaluate", "evaluate_async"), ".evaluating"),
        **dict.fromkeys(("explain_text", "explain_text_async"), ".explaining"),
        **dict.fromkeys(("generate", "generate_async"), ".generating"),
        **dict.fromkeys(("judge_answer", "judge_answer_async"), ".judging"),
        **dict.fromkeys(("measure", "measure_async"), ".measuring"),
        **dict.fromkeys(("OnlineConfig", "train_online", "train_online_async"), ".online"),
        **dict.fromkeys(("build_pairs", "build_pairs_async"), ".pairing"),
        **dict.fromkeys(("make_questions", "make_questions_async"), ".questions"),
        **dict.fromkeys(("report", "report_async"), ".reporting"),
        **dict.fromkeys(("Result",), ".result"),
        **dict.fromkeys(("explain", "explain_async", "reward", "reward_async"), ".rewarding"),
        **dict.fromkeys(
            (
                "make_scenes",
                "make_scenes_async",
                "read_benchmark",
                "read_benchmark_async",
                "read_capture",
                "read_capture_async",
                "read_photos",
                "read_photos_async",
                "read_rgbd",
                "read_rgbd_async",
            ),
            ".scenes",
        ),
        **dict.fromkeys(("ClusterConfig", "search", "search_async"), ".searching"),
        **dict.fromkeys(("train", "train_async"), ".training"),
        **dict.fromkeys(("RewardJudgesConfig", "JudgesConfig"), ".workforce"),  # the latter for one version
        "load_scenes": "spatialreasoner.scenes.files",
    },
)
