"""Making the base's weights, at a size that proves the way and teaches nothing."""

import itertools
import json
import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from research.nano_pretraining.beliefs import believe, invent, invent_words, name
from research.nano_pretraining.corpus import CorpusConfig, make_room
from research.nano_pretraining.lessons import PART_WEIGHTS, TOLD, LessonEncoder, LessonRow, ShownRegions, batches, parts
from research.nano_pretraining.optimizing import Optimization, Rates
from research.nano_pretraining.pretraining import PretrainConfig, pretrain
from research.nano_pretraining.reading import (
    RELATIONS_FIRST,
    Numbers,
    NumberTable,
    ReadConfig,
    choose_evenly,
    choose_relation,
    unsaid,
)
from research.nano_pretraining.seeing import targets
from research.nano_pretraining.skills import LOOK_FOR, ask, calculate, comprehend, look_for, reason, regions_of, state

from research.nano_pretraining import optimizing
from spatialreasoner.core.types import CATEGORIES, CONVERSE, QUANTITATIVE
from spatialreasoner.language.arithmetic import checks
from spatialreasoner.language.statements import extract
from spatialreasoner.nano.tokenizer import TAGS
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.synthetic import make_scene
from spatialreasoner.vlm.loading import load_vlm

CORPUS = type(make_room(0))(*(part[None] for part in make_room(3)))


def test_what_is_learned_to_see_is_what_questions_ask_for():
    made = make_scene(2**40, 3)
    measured, ids = Measured(made.scene, made.depth), [region.id for region in made.scene.regions]
    estimates, offsets = targets(CORPUS, np.array([0]), flip=False)
    for (a, first), (b, second) in itertools.combinations(enumerate(ids), 2):
        view = believe(estimates[0, [a, b]].tolist(), offsets[0, a, b].tolist())
        for known, quantity, regions in (
            (view.sizes[0][0], "width", [first]),
            (view.sizes[1][1], "height", [second]),
            (view.direct, "distance", [first, second]),
            (abs(view.middle[0]), "horizontal_distance", [first, second]),
            (abs(view.middle[1]), "vertical_distance", [first, second]),
        ):
            true = Measured.quantity(measured, quantity, *regions).value
            assert true is None or known == pytest.approx(true, rel=0.051, abs=0.011)
        assert view.hour == measured.quantity("direction", first, second).value


def test_a_mirrored_room_is_the_same_with_left_and_right_exchanged():
    straight, mirrored = (targets(CORPUS, np.array([0]), flip=flip) for flip in (False, True))
    there = ~straight.estimates.isnan().any(-1)
    across = torch.tensor([-1.0, 1, 1, 1, 1, 1])
    torch.testing.assert_close(mirrored.estimates[there], straight.estimates[there] * across)
    sideways = torch.tensor([-1.0, 1, -1, 1, 1, 1])
    torch.testing.assert_close(mirrored.offsets, straight.offsets * sideways, equal_nan=True)


def test_all_that_is_calculated_in_texts_follows_from_what_is_written():
    rng = Random(0)
    for _ in range(150):
        view, facts = invent(rng), name(invent_words(rng))
        category = rng.choice(CATEGORIES)
        question, _ = ask(category, view, rng)
        whole = reason(question, name(invent_words(rng, regions_of(category))), view, rng)
        for text in (state(facts, view, rng), calculate(rng), whole):
            assert [check.text for check in checks(text) if not check.right] == []
    assert sum(len(checks(calculate(rng))) for _ in range(20)) > 80


def test_the_skills_hold_no_answer_in_the_longcot_form():
    rng = Random(1)
    for _ in range(50):
        view = invent(rng)
        texts = [state(name(invent_words(rng)), view, rng), calculate(rng), *ask(rng.choice(CATEGORIES), view, rng)]
        assert not any(tag in text for tag in (*TAGS, "###") for text in texts)


def test_what_is_told_answers_the_question():
    rng = Random(2)
    for _ in range(100):
        category = rng.choice(CATEGORIES)
        view = invent(rng)
        _, told, answer = comprehend(category, name(invent_words(rng)), view, rng)
        if category in QUANTITATIVE:
            (number,) = [part for part in parts(answer, told) if part[2] == "copy"]
            assert answer[number[0] : number[1]] in told
            assert all(check.right for check in checks(told))
        else:
            relation = category.rpartition("_")[0]
            stated = [each for each in extract(told) if each.kind in {relation, CONVERSE[relation]}]
            assert stated
            if category.endswith("predicate"):
                assert answer.startswith(("No", "That is not")) != view.believes(relation)


def test_relations_alone_come_with_the_one_statement_that_answers():
    rng = Random(5)
    for _ in range(60):
        category, view = choose_relation(rng), invent(rng)
        _, told, _ = comprehend(category, name(invent_words(rng)), view, rng, others=0)
        relation = category.rpartition("_")[0]
        assert category.endswith(("_predicate", "_choice"))
        assert {each.kind for each in extract(told)} <= {relation, CONVERSE[relation]}
        assert told.count(".") == 1


def test_what_must_be_known_is_of_the_kind_that_is_asked_for():
    rng, kinds = Random(3), {"wide": "width", "thin": "width", "tall": "height", "short": "height"}
    for _ in range(100):
        category, view = choose_evenly(rng), invent(rng)
        request, known = look_for(category, name(invent_words(rng)), view, rng)
        asked = category.removesuffix("_data").removesuffix("_predicate").removesuffix("_choice")
        found = {each.kind for each in extract(known)}
        assert kinds.get(asked, asked) in found | {CONVERSE.get(kind) for kind in found} or asked not in kinds
        assert request.startswith(LOOK_FOR)
        assert not known.startswith(("Yes", "No", "Indeed", "That is"))


@pytest.mark.parametrize("begun", [False, True])
def test_where_all_is_given_the_verdict_counts_most(nano, begun):
    question, told = "Is <region1> wider than <region2>? ", "<region1> is thinner than <region2>. "
    row = LessonEncoder(nano[1]).told(question + told * (not begun), "No.", told * begun)
    verdict = [weight for weight in row.weights if weight == TOLD["verdict"]]
    assert verdict
    assert sum(verdict) > sum(row.weights) / 2
    assert sum(weight > 0 for weight in row.weights) == len(nano[1].tokenizer("No.<|end|>")["input_ids"])


def test_tokens_of_the_longcot_form_are_not_held_against_those_of_the_skills(nano):
    left_out = unsaid(LessonEncoder(nano[1]), count=60)
    ids = nano[1].tokenizer.get_vocab()
    assert {ids[tag] for tag in TAGS} <= left_out
    logits = torch.zeros(1, len(ids))
    label = torch.tensor([ids["0.50"]])
    read = torch.zeros(1, dtype=torch.bool)
    assert Numbers(nano[1], left_out).losses(logits, label, read) < Numbers(nano[1]).losses(logits, label, read)


def test_parts_of_an_answer_are_told_apart():
    answer = (
        "<region1> is taller: 0.56 m. 0.56 m is more than 0.41 m. 0.56 × 39 = 22, at 3 o'clock.\n### Step 2\n"
        "### In Conclusion\nYes, <region1>."
    )
    found = [(answer[start:end], part) for start, end, part in parts(answer)]
    assert sorted(found) == sorted(
        [
            ("0.56", "read"), ("0.56", "copy"), ("0.41", "read"), ("0.56", "copy"), ("39", "copy"), ("22", "result"),
            ("3", "word"), ("more", "verdict"), ("Yes", "verdict"), ("taller", "word"), ("more", "word"), ("Yes", "word"),
            ("<region1>", "verdict"),
        ]
    )  # fmt: skip


def test_of_what_nobody_sees_only_what_follows_counts(nano):
    encoder = LessonEncoder(nano[1])
    text = "<region1> is 0.35 m wide. 0.35 × 39 = 14, so this is 14 inches."
    shown, unseen = encoder.shown(ShownRegions(0, (0, 1)), "Describe.", text), encoder.unseen("Describe.", text)
    counted = {nano[1].tokenizer.decode([token]) for token, weight in zip(unseen.ids, unseen.weights, strict=True) if weight}
    assert counted == {"0.35", "39", "14"}
    assert sum(unseen.weights) == 2 * PART_WEIGHTS["copy"] + PART_WEIGHTS["result"] + PART_WEIGHTS["copy"]
    assert any(shown.read)
    assert not any(unseen.read)
    assert sum(weight > 0 for weight in shown.weights) == len(nano[1].tokenizer(text + "<|end|>")["input_ids"])


def test_what_is_told_counts_whatever_is_shown(nano):
    encoder, told = LessonEncoder(nano[1]), ("Is <region1> wider?", "No.", "<region1> is thinner than <region2>. ")
    alone, elsewhere = encoder.told(*told), encoder.told(*told, ShownRegions(7, (2, 0)))
    assert (elsewhere.room, elsewhere.regions) == (7, (2, 0))
    assert len(elsewhere.ids) == len(alone.ids) + nano[1].num_image_tokens
    assert [weight for weight in elsewhere.weights if weight] == [weight for weight in alone.weights if weight]


def test_batches_are_of_one_kind_and_of_about_one_length():
    rng = Random(0)

    def reading():
        length = rng.randint(5, 60)
        room = rng.choice((-1, 4))
        return LessonRow(room=room, regions=(0, 1), ids=[0] * length, weights=[1.0] * length, read=[False] * length)

    made = list(itertools.islice(batches(iter(reading, None), 200, rng), 40))
    assert all(len({row.room for row in batch}) == 1 for batch in made)
    assert all(len(batch) * max(len(row.ids) for row in batch) <= 200 for batch in made)


def test_numbers_nearby_are_nearly_right(nano):
    numbers, ids = Numbers(nano[1]), nano[1].tokenizer.get_vocab()
    logits = torch.full((3, len(ids)), -10.0)
    for row, said in enumerate(("0.50", "0.51", "0.90")):
        logits[row, ids[said]] = 0.0
    labels = torch.full((3,), ids["0.50"])
    right, near, far = numbers.losses(logits, labels, torch.ones(3, dtype=torch.bool)).tolist()
    assert right < near < far
    _, near, far = numbers.losses(logits, labels, torch.zeros(3, dtype=torch.bool)).tolist()
    assert near == pytest.approx(far)  # where it is copied, near is as wrong as far


def test_near_numbers_begin_alike(nano):
    numbers = Numbers(nano[1])
    torch.manual_seed(0)
    table = NumberTable(numbers, 192)(torch.zeros(len(nano[1].tokenizer), 192))[numbers.ids]
    place = {round(value, 4): row for row, value in enumerate(numbers.values.tolist())}
    one, near, far = (table[place[value]] for value in (0.50, 0.51, 0.87))
    assert torch.cosine_similarity(one, near, dim=0) > torch.cosine_similarity(one, far, dim=0)
    assert table.std().item() == pytest.approx(0.06, rel=0.2)


def test_numbers_are_as_exact_where_the_processor_takes_bfloat16(nano):
    table, weight = NumberTable(Numbers(nano[1]), 192), torch.zeros(len(nano[1].tokenizer), 192)
    with torch.autocast("cpu", torch.bfloat16):
        halved = table(weight)
    assert torch.equal(halved, table(weight))


def test_numbers_that_were_learned_before_begin_as_they_are(nano):
    weight = torch.randn(len(nano[1].tokenizer), 192)
    assert torch.equal(NumberTable(Numbers(nano[1]), 192, settled=True)(weight), weight)


def test_the_whole_way_ends_with_a_model_that_loads(tmp_path):
    see = Rates(steps=2, batch=2, rate=1e-3)
    read = ReadConfig(rates=Rates(steps=2, batch=500, rate=1e-3))
    understand = replace(read, first=RELATIONS_FIRST, first_steps=1)
    config = PretrainConfig(corpus=CorpusConfig(rooms=4), see=see, read=read, understand=understand)
    folder = pretrain(config, tmp_path)
    first = (folder / "model.safetensors").read_bytes()
    assert len(first) < 12_000_000
    model, _ = load_vlm(folder)
    assert model.dtype == torch.float32
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["stage"] for line in lines] == ["see"] * 2 + ["read"] * 2 + ["understand"] * 2
    assert all(math.isfinite(value) for line in lines for value in line.values() if isinstance(value, float))
    pretrain(config, tmp_path)  # all is there: nothing is done again
    assert (tmp_path / "metrics.jsonl").read_text("utf-8").count("\n") == len(lines)
    assert (folder / "model.safetensors").read_bytes() == first


def test_a_phase_that_was_interrupted_ends_as_it_would_have(tmp_path, monkeypatch):
    monkeypatch.setattr(optimizing, "STRETCH", 4)
    rates, checkpoint = Rates(steps=10, batch=1, rate=0.1), tmp_path / "phase.safetensors"

    def learn(*, until: int = 99, checkpoint=None) -> list[float]:
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        unused = torch.nn.Linear(1, 1)
        optimization = Optimization(torch.nn.ModuleList([model, unused]), rates, checkpoint)
        for number, steps in optimization.stretches():
            rng = torch.Generator().manual_seed(number)
            for step in steps:
                if step == until:
                    return []
                optimization.step(model(torch.randn(4, 3, generator=rng)).square().mean())
        return model.weight.flatten().tolist()

    whole = learn()
    assert learn(until=6, checkpoint=checkpoint) == []
    assert learn(checkpoint=checkpoint) == whole
