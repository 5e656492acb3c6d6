"""What a study has to do, and in which order."""

from pathlib import Path

from research.fdpo_study.arms import ARMS, choose_arms
from research.fdpo_study.config import QUICK_SIZES, StudyConfig, rooms
from research.fdpo_study.jobs import marker, plan
from research.fdpo_study.runner import Board, forecast_seconds, time_left

from spatialreasoner.core import records
from spatialreasoner.training.config import read_config

CONFIG = StudyConfig()


def test_every_job_comes_after_what_it_needs() -> None:
    seen: set[str] = set()
    for job in plan(CONFIG, choose_arms(()), 5):
        assert seen.issuperset(job.needs), job.name
        seen.add(job.name)


def test_main_arms_are_trained_five_times_and_controls_three() -> None:
    names = [job.what for job in plan(CONFIG, choose_arms(()), 5) if job.task == "arm"]
    assert names.count("fdpo") == names.count("dpo") == names.count("sft") == 5
    assert names.count("fdpo-inverse") == names.count("sft-blind") == 3
    assert set(names) == {name for name, arm in ARMS.items() if arm.group in {"main", "control"}}


def test_few_arms_need_few_jobs() -> None:
    names = [job.name for job in plan(CONFIG, choose_arms(["fdpo"]), 1)]
    assert names == [
        "data/sft", "data/preference", "data/test", "base", "seed-0/sft", "seed-0/own", "seed-0/pairs/mixture", "seed-0/fdpo",
    ]  # fmt: skip


def test_exact_answers_are_paired_with_own_samples_of_the_same_rooms_and_share_one_reference() -> None:
    jobs = {job.name: job.needs for job in plan(CONFIG, choose_arms(["exact"]), 1)}
    assert list(jobs) == [
        "data/sft", "data/exact", "data/test", "base", "seed-0/sft", "seed-0/own-exact", "seed-0/pairs/exact",
        "seed-0/fdpo-exact", "seed-0/dpo-exact", "seed-0/sft-exact",
    ]  # fmt: skip
    assert jobs["seed-0/own-exact"] == ("seed-0/sft", "data/exact")
    assert jobs["seed-0/fdpo-exact"] == jobs["seed-0/sft-exact"] == ("seed-0/pairs/exact",)
    assert jobs["seed-0/dpo-exact"] == ("seed-0/pairs/exact", "seed-0/fdpo-exact")


def test_answers_about_quantities_are_sampled_of_rooms_of_their_own_and_all_arms_learn_from_one_set_of_pairs() -> None:
    jobs = {job.name: job.needs for job in plan(CONFIG, choose_arms(["sft-numbers", "dpo-numbers", "fdpo-numbers"]), 1)}
    assert list(jobs) == [
        "data/sft", "data/numbers", "data/test", "base", "seed-0/sft", "seed-0/own-numbers", "seed-0/pairs/numbers",
        "seed-0/sft-numbers", "seed-0/dpo-numbers", "seed-0/fdpo-numbers",
    ]  # fmt: skip
    assert jobs["seed-0/own-numbers"] == ("seed-0/sft", "data/numbers")
    assert jobs["seed-0/sft-numbers"] == jobs["seed-0/dpo-numbers"] == ("seed-0/pairs/numbers",)
    assert jobs["seed-0/fdpo-numbers"] == ("seed-0/pairs/numbers", "seed-0/dpo-numbers")


def test_arms_that_sample_as_they_learn_need_the_questions_and_sft_alone() -> None:
    jobs = {job.name: job.needs for job in plan(CONFIG, choose_arms(["online"]), 5)}
    assert [name for name in jobs if name.startswith("seed-2/")] == [
        "seed-2/sft", "seed-2/own-numbers", "seed-2/pairs/extremes",
        "seed-2/dpo-once", "seed-2/online-dpo", "seed-2/online-fdpo",
    ]  # fmt: skip
    assert jobs["seed-2/online-dpo"] == jobs["seed-2/online-fdpo"] == ("seed-2/sft", "data/numbers", "data/test")
    assert not any(name.startswith("seed-3/online") for name in jobs)  # three seeds


def test_a_second_round_begins_with_the_answers_of_the_first_ones_model() -> None:
    jobs = {job.name: job.needs for job in plan(CONFIG, choose_arms(["dpo-second"]), 1)}
    assert list(jobs) == [
        "data/sft", "data/numbers", "data/second", "data/test", "base", "seed-0/sft", "seed-0/own-numbers",
        "seed-0/pairs/numbers", "seed-0/dpo-numbers", "seed-0/own-second", "seed-0/pairs/second", "seed-0/dpo-second",
    ]  # fmt: skip
    assert jobs["seed-0/own-second"] == ("seed-0/dpo-numbers", "data/second")


def test_arms_that_only_follow_sft_wait_for_the_pairs_alone() -> None:
    needs = {job.name: job.needs for job in plan(CONFIG, choose_arms(["sft-chosen", "fdpo-own", "fdpo-inverse"]), 1)}
    assert needs["seed-0/sft-chosen"] == ("seed-0/pairs/mixture",)
    assert needs["seed-0/fdpo-own"] == ("seed-0/pairs/own", "seed-0/fdpo-inverse")  # which leaves the reference's logps


def test_a_whole_study_takes_at_most_six_hours_on_two_cores_and_a_quick_one_a_quarter(tmp_path: Path) -> None:
    assert forecast_seconds(plan(CONFIG, choose_arms(()), 5), tmp_path, 2) < 6 * 3600
    quick = read_config(StudyConfig, None, QUICK_SIZES)
    assert (
        forecast_seconds(plan(quick, choose_arms(["sft", "dpo", "fdpo", "fdpo-inverse", "dpo-beta-0.3"]), 1), tmp_path, 2) < 900
    )


def test_no_two_parts_share_rooms() -> None:
    seeds = [rooms(StudyConfig(seed=seed, split=split), part)[0] for seed in (0, 1) for split, part in _PARTS]
    assert len(set(seeds)) == len(seeds)


_PARTS = (*(("test", part) for part in ("sft", "preference", "exact", "numbers", "test")), ("validation", "test"))


def test_jobs_that_are_done_or_wait_are_not_begun(tmp_path: Path) -> None:
    jobs = plan(CONFIG, choose_arms(["dpo"]), 1)
    records.write_json(marker(tmp_path, jobs[0]), {})
    board = Board(jobs=jobs, out=tmp_path)
    assert board.done == {"data/sft"}
    first = board.next()
    assert first is not None
    assert first.name == "data/preference"
    board.failed |= {"data/preference", "data/test"}
    assert board.next() is None  # all others wait for what failed


def test_the_time_left_follows_how_the_forecast_fared(tmp_path: Path) -> None:
    jobs = plan(CONFIG, choose_arms(["dpo"]), 1)
    board = Board(jobs=jobs, out=tmp_path)
    assert time_left(board, set(), 10.0) == f"0 of {len(jobs)} jobs"
    board.done.add(jobs[0].name)
    left = sum(job.seconds for job in jobs[1:])
    assert time_left(board, set(), 2 * jobs[0].seconds) == f"1 of {len(jobs)} jobs, about {2 * left / 60:.0f} min left"
