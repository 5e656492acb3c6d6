"""Making the nano's weights, at a size that proves the way and teaches nothing."""

import json

import numpy as np
import pytest
import torch
from research.nano_pretraining.corpus import TARGETS, Corpus, CorpusConfig, Row, make_sample
from research.nano_pretraining.lessons import Reading, batches, encode_rows
from research.nano_pretraining.pretraining import SHOWN, TRAILING, Numbers, PretrainConfig, Rates, pretrain

from research.nano_pretraining import pretraining
from spatialreasoner.nano import WEIGHTS, NanoProcessor
from spatialreasoner.scenes.synthetic import make_scene
from spatialreasoner.vlm.loading import load_vlm


def test_a_sample_says_what_is_true_of_its_room():
    sample, made = make_sample(3), make_scene(2**40, 3)
    things = {thing.region_id: thing for thing in made.scene.objects or ()}
    for number, region in enumerate(made.scene.regions):
        truth = dict(zip(TARGETS, sample.truth[number].tolist(), strict=True))
        assert truth["width"] == pytest.approx(things[region.id].size[0])
        assert truth["z"] == pytest.approx(things[region.id].centre[2])
    assert sample.depth.mean() == pytest.approx(np.log(made.depth).mean(), abs=1e-3)


def test_texts_are_true_and_the_same_every_time():
    rows = make_sample(5, rows=12).rows
    assert rows == make_sample(5, rows=12).rows
    assert {row.kind for row in rows} == {"statements", "short", "reasoned"}


@pytest.mark.parametrize("half", [True, False])
def test_the_whole_way_ends_with_a_model_that_loads(tmp_path, monkeypatch, half):
    monkeypatch.setattr(pretraining, "autocast", lambda: torch.autocast("cpu", torch.bfloat16, enabled=half))
    few = Rates(steps=2, batch=2, rate=1e-3)  # bfloat16 is slow on processors without it
    config = PretrainConfig(corpus=CorpusConfig(scenes=4, told=4, rows=12), see=few, read=few, judge=few)
    folder = pretrain(config, tmp_path)
    first = (folder / "model.safetensors").read_bytes()
    assert len(first) < 12_000_000
    model, _ = load_vlm(folder)
    assert model.dtype == torch.float32
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["stage"] for line in lines] == ["see"] * 2 + ["read"] * 2 + ["judge"] * 2
    pretrain(config, tmp_path)  # all is there: nothing is done again
    assert (tmp_path / "metrics.jsonl").read_text("utf-8").count("\n") == len(lines)
    assert (folder / "model.safetensors").read_bytes() == first


def test_lessons_are_what_their_names_say(nano):
    rows = [row for scene in range(12) for row in make_sample(scene, rows=18).rows]
    corpus = Corpus(*[np.zeros(0)] * 5, rows=[rows])
    readings = encode_rows(corpus, nano[1])
    for kind in ("statements", "reasoned"):
        assert len(readings[kind]) == sum(row.kind == kind for row in rows)
    said = {_text(nano[1], reading, reading.verdict) for reading in readings["verdicts"]}
    assert said >= {"Yes", "No"}
    assert said <= {"Yes", "No", "Indeed", "That is right", "That is not", "That is correct"}
    whole = dict(zip(map(id, readings["verdicts"]), readings["drills"], strict=True))
    for reading in readings["verdicts"]:
        drill = whole[id(reading)]
        assert _text(nano[1], drill, drill.verdict) == _text(nano[1], reading, reading.verdict)
        assert drill.ids[: drill.prompt] == reading.ids[: reading.prompt]
        assert len(drill.ids) < len(reading.ids)


def test_what_is_exact_is_what_the_image_decides_and_what_was_said_before():
    processor = NanoProcessor.from_pretrained(WEIGHTS)
    answer = "<region1> is taller: 0.56 m to 0.41 m. 0.56 / 0.0254 = 22.05, at 3 o'clock.\n### In Conclusion\n<region1>."
    corpus = Corpus(*[np.zeros(0)] * 5, rows=[[Row("reasoned", (0, 1), "Which is taller?", answer)]])
    (reading,) = encode_rows(corpus, processor)["reasoned"]
    exact = [token for token, at in zip(reading.ids, reading.shown, strict=True) if at]
    decoded = [processor.tokenizer.decode([token]).strip() for token in exact]
    assert decoded == ["taller", "0.56", "0.02", "3", "<region1>"]


def test_each_lesson_gives_its_own_rows():
    def reading(length):
        return Reading(scene=0, regions=(0, 0), ids=[0] * length, prompt=1, shown=[], verdict=[])

    readings = {"reasoned": [reading(3)], "verdicts": [reading(2)], "drills": [reading(1)]}
    rng = np.random.default_rng(0)
    phases = ((0.5, {"drills": 1.0}), (1.0, {"reasoned": 0.5, "verdicts": 0.5}))
    lengths = [{len(row.ids) for row in batch} for batch in batches(readings, phases, 32, 4, rng)]
    assert len(lengths) == 32
    assert set().union(*lengths[:16]) == {1}
    assert set().union(*lengths[16:]) == {2, 3}


def _text(processor, reading, chosen):
    return processor.tokenizer.decode([token for token, at in zip(reading.ids, chosen, strict=True) if at]).strip()


def test_numbers_nearby_are_nearly_right(nano):
    numbers = Numbers(nano[1])
    ids = nano[1].tokenizer.get_vocab()
    logits = torch.full((3, len(ids)), -10.0)
    for row, said in enumerate(("0.50", "0.52", "0.90")):
        logits[row, ids[said]] = 0.0
    label, shown = torch.tensor([ids["0.50"]]), torch.tensor([False])
    right, near, far = (_loss(numbers, logits[row : row + 1], label, shown) for row in range(3))
    assert right < near < far
    assert _loss(numbers, logits[1:2], label, ~shown) > _loss(numbers, logits[2:3], label, ~shown) - 1e-4  # hours are exact


def test_digits_that_follow_a_number_know_no_neighbours(nano):
    numbers, ids = Numbers(nano[1]), nano[1].tokenizer.get_vocab()
    logits = torch.full((2, len(ids)), -10.0)
    logits[0, ids["0.02"]] = logits[1, ids["53"]] = 0.0
    labels, shown = torch.tensor([ids["0.02"], ids["54"]]), torch.tensor([True, False])
    logps = logits.log_softmax(-1)
    exact = -(SHOWN * logps[0, ids["0.02"]] + TRAILING * logps[1, ids["54"]]) / (SHOWN + TRAILING)
    found = numbers.loss(logits, labels, shown, torch.tensor([False, False]))
    assert found["loss"].item() == pytest.approx(exact.item())
    assert found["numbers"].isnan()


def _loss(numbers, *given):
    return numbers.loss(*given, torch.tensor([False]))["loss"].item()
