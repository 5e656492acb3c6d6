"""GRPO: the verified reward in TRL's own trainer, `train grpo`, regions that reach the model, resuming, and settings."""

import json

import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from builders import build_scene
from spatialreasoner.core.errors import ConfigError, MissingFileError, RecordError
from spatialreasoner.core.types import Question
from spatialreasoner.nano import WEIGHTS
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.rewards import reward_function
from spatialreasoner.rewards.functions import total_reward
from spatialreasoner.training.checkpoints import CheckpointDigests
from spatialreasoner.training.config import GRPOSettings, read_config
from spatialreasoner.training.grpo import GrpoTrainer, reward_functions
from spatialreasoner.training.grpo_data import read_grpo, with_regions_shown
from spatialreasoner.training.run import run_training
from spatialreasoner.vlm.loading import load_vlm
from tiny import TINY

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

FAST = ("per_device_train_batch_size=4", "gradient_accumulation_steps=1", "num_generations=2", "max_completion_length=6",
        "learning_rate=1e-3", "threads=1")  # fmt: skip


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rooms")
    build_scene(folder)
    write_questions(QuestionsConfig(scenes=str(folder), per_scene=4), folder / "questions.jsonl")
    return folder / "questions.jsonl"


@pytest.fixture
def arguments(tmp_path):
    return GRPOConfig(
        output_dir=str(tmp_path / "out"), use_cpu=True, bf16=False, report_to="none", save_strategy="no", max_steps=1,
        per_device_train_batch_size=4, gradient_accumulation_steps=1, num_generations=2, max_completion_length=6,
        disable_tqdm=True, gradient_checkpointing=False, remove_unused_columns=False, logging_steps=1,
    )  # fmt: skip


@pytest.fixture
def shown(questions, tmp_path):
    return lambda *, tokens: with_regions_shown(read_grpo(questions), tmp_path / "images", tokens=tokens)


def test_trls_own_trainer_takes_the_functions(families, shown, arguments):
    model, processor = families("llava")
    functions = [total_reward, reward_function("reasoning", asynchronous=True), reward_function("logical.conclusion")]
    trainer = GRPOTrainer(
        model, reward_funcs=functions, args=arguments, train_dataset=shown(tokens=False), processing_class=processor
    )
    trainer.train()
    logged = trainer.state.log_history[0]
    names = ("total", "reasoning", "logical_conclusion")
    assert all(f"rewards/{name}_reward/mean" in logged for name in names)
    assert 0 <= logged["rewards/total_reward/mean"] <= 16
    assert "verified/visual" in logged


def test_text_rows_are_rewarded_as_well(questions, tmp_path):
    row = read_grpo(questions)[0]
    given = {"question": [row["question"]], "scene": [row["scene"]]}
    said = "<region1> is 3 m tall."
    assert total_reward(prompts=["?"], completions=[said], **given) == total_reward(
        prompts=[row["prompt"]], completions=[[{"role": "assistant", "content": said}]], **given
    )


@pytest.mark.skipif(not (WEIGHTS / "model.safetensors").is_file(), reason="the nano's weights are not installed")
def test_a_model_with_region_tokens_sees_them_while_it_learns(shown, arguments):
    model, processor = load_vlm(WEIGHTS)
    seen: list[torch.Tensor | None] = []
    inner = model.model.forward

    def spied(*args, **kwargs):
        if kwargs.get("pixel_values") is not None:
            seen.append(kwargs.get("region_masks"))
        return inner(*args, **kwargs)

    model.model.forward = spied
    arguments.beta = 0.1  # the reference looks, too
    trainer = GrpoTrainer(
        model, processing_class=processor, reward_funcs=[total_reward], args=arguments, train_dataset=shown(tokens=True)
    )
    trainer.train()
    assert len(seen) >= 2  # to write, and to learn
    assert all(masks is not None and masks.any() for masks in seen)
    trainer.save_model(str(arguments.output_dir))
    again = load_vlm(arguments.output_dir)[1]
    assert type(again) is type(processor)


def test_a_tiny_model_trains_from_the_command_and_resumes_to_the_same_bytes(questions, tmp_path, monkeypatch):
    def start(out):
        overrides = [*FAST, "max_steps=2", "save_steps=1", "rewards=description:1,reasoning:2"]
        run_training("grpo", model=TINY, data=questions, out=tmp_path / out, overrides=overrides)
        return tmp_path / out

    whole = start("whole")
    logged = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == [1, 2]
    assert "rewards/reasoning_reward/mean" in logged[0]
    assert "Group relative" in (whole / "README.md").read_text()
    load_vlm(whole)

    written = CheckpointDigests.on_save

    def killed(self, args, state, control, **kwargs):
        written(self, args, state, control, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointDigests, "on_save", killed)
        with pytest.raises(KeyboardInterrupt):
            start("cut")
    cut = start("cut")
    for name in ("model.safetensors", "metrics.jsonl", "training.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("switch", [None, "enable_thinking", "thinking"])
def test_a_template_is_given_its_own_switch_for_thinking_and_no_other(switch, families, questions, tmp_path, caplog):
    for part in families("llava"):
        part.save_pretrained(tmp_path / "base")
    template = tmp_path / "base" / "chat_template.jinja"
    written = template.read_text()
    if switch is not None:
        refuses = f"{{%- if {switch} is not defined or {switch} %}}{{{{ raise_exception('it thinks') }}}}{{% endif -%}}"
        template.write_text(refuses + written)
    run_training("grpo", model=str(tmp_path / "base"), data=questions, out=tmp_path / "out", overrides=[*FAST, "max_steps=1"])
    assert "processor_kwargs" not in caplog.text


@pytest.mark.parametrize(
    "wrong",
    ["num_generations=3", "num_generations=1", "temperature=0", "max_completion_length=0", "grpo_beta=-1", "rewards="],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=wrong.partition("=")[0]):
        read_config(GRPOSettings, None, [wrong])


def test_rewards_are_named_with_weights():
    functions, weights = reward_functions("description,logical.conclusion:0.5")
    assert [each.__name__ for each in functions] == ["description_reward", "logical_conclusion_reward"]
    assert weights == [1.0, 0.5]
    with pytest.raises(ConfigError, match="beauty"):
        reward_functions("beauty")


def test_an_answer_that_lacks_one_of_several_rewards_is_left_out(make_scene):
    blind = make_scene(depth=None, objects=None, intrinsics=None)
    question = Question(
        id="q", scene_id="balls", category="left_predicate", text="Is <region1> to the left of <region2>?",
        region_ids=("region1", "region2"), answer="Yes, <region1> is to the left of <region2>.",
    )  # fmt: skip
    said = "<region1> is a ball.\nYes, <region1> is to the left of <region2>."
    alone, together = reward_functions("visual")[0], reward_functions("visual,spatial_reasoning")[0]
    assert [each([said], [question], [blind])[0] is None for each in (*alone, *together)] == [False, True, True]


def test_tokens_need_a_model_that_has_them(questions, tmp_path):
    with pytest.raises(ConfigError, match="region tokens"):
        run_training("grpo", model=TINY, data=questions, out=tmp_path / "out", overrides=[*FAST, "regions=tokens"])


def test_questions_without_scenes_are_refused(tmp_path):
    (tmp_path / "questions.jsonl").write_text("")
    with pytest.raises(MissingFileError, match="scenes"):
        read_grpo(tmp_path / "questions.jsonl")
    build_scene(tmp_path)
    with pytest.raises(RecordError, match="empty"):
        read_grpo(tmp_path / "questions.jsonl")


def test_rows_hold_what_the_reward_needs(questions):
    rows = read_grpo(questions)
    assert isinstance(rows, Dataset)
    assert {"images", "prompt", "question", "scene"} <= set(rows.column_names)
    rewards = total_reward(["<region1> is 1 m wide."] * len(rows), rows["question"], rows["scene"])
    assert len(rewards) == len(rows)
