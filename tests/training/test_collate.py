import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialreasoner.core.errors import InputError
from spatialreasoner.scenes.carry import KEY
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training.collate import Encoder, PairCollator, SftCollator, assign_segments
from spatialreasoner.training.images import read_images
from spatialreasoner.training.segments import tag_spans


@pytest.fixture(scope="module")
def processor(texts):
    return tiny.make_tiny("llava", texts)[1]


def owned(encoder, tokens, segment):
    return encoder.processor.tokenizer.decode(tokens.ids[tokens.segments == segment])


def test_segments_are_cut_to_the_token(processor, pairs):
    encoder = Encoder(processor, markup="drop")
    _, chosen, rejected = encoder(pairs[:1], ("chosen", "rejected"))[0][0]
    # This tokenizer has learned ".</" as one token; it holds a character of the segment, so it is the segment's
    assert owned(encoder, chosen, 0) == "A red box.</"
    assert owned(encoder, rejected, 0) == "A red box, and a very long description of it.</"
    reasoning = owned(encoder, chosen, 1)
    assert reasoning.lstrip(">").startswith("### Rationale\nIt is as tall")
    assert reasoning.endswith("### In Conclusion\n1.5 m")
    outside = owned(encoder, chosen, -1)
    assert outside.startswith(" <description>")  # LLaVA writes a blank before an answer, and after it
    assert outside.endswith(" </s>")


def test_no_token_is_lost_and_prompts_own_none(processor, pairs):
    encoder = Encoder(processor)
    prompt, chosen, _ = encoder(pairs[:1], ("chosen", "rejected"))[0][0]
    assert processor.tokenizer.decode(chosen.ids) == f" {pairs[0]['chosen'][0]['content']} </s>"
    assert (prompt.segments == -1).all()
    assert processor.tokenizer.decode(prompt.ids).endswith("How tall is <region1>? ASSISTANT:")
    assert (chosen.segments >= 0).all()


@pytest.mark.parametrize(
    ("markup", "expected"), [("base", [2, 0, 2, 1, 2]), ("drop", [-1, 0, -1, 1, -1]), ("segment", [0, 0, 1, 1, 1])]
)
def test_markup(markup, expected):
    offsets = [(0, 2), (2, 6), (6, 8), (8, 12), (12, 15)]
    assert assign_segments(offsets, [(2, 6), (8, 12)], markup=markup) == expected


def test_a_token_across_a_boundary_goes_where_most_of_it_is():
    assert assign_segments([(0, 5)], [(0, 2), (2, 5)], markup="drop") == [1]
    assert assign_segments([(0, 4)], [(0, 2), (2, 4)], markup="drop") == [0]
    assert assign_segments([(0, 4)], [(3, 4)], markup="drop") == [0]


def test_an_answer_without_segments_owns_nothing():
    assert assign_segments([(0, 1), (1, 2)], [(0, 0), (0, 0)], markup="segment") == [-1, -1]


@settings(max_examples=40)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_shared_out_completely(processor, description, reasoning):
    content = f"<a>{description.replace('<', '')}</a><b>{reasoning.replace('<', '')}</b>"
    found = tag_spans(["a", "b"])(content)
    encoded = processor.tokenizer(content, add_special_tokens=False, return_offsets_mapping=True)
    owners = assign_segments(encoded["offset_mapping"], [found["a"], found["b"]], markup="base")
    assert len(owners) == len(encoded["input_ids"])
    assert set(owners) <= {0, 1, 2}
    for index, name in enumerate("ab"):
        assert (index in owners) <= (found[name][0] < found[name][1])


def test_named_tags_give_any_number_of_segments(processor, pairs):
    pair = pairs[0]
    text = "<plan>Look.</plan><look>A box.</look><answer>1.5 m</answer>"
    pair["chosen"][0]["content"], pair["rejected"][0]["content"] = text, text.replace("1.5", "3")
    pair |= {"gap_plan": 0.0, "gap_look": 0.5, "gap_answer": 2.0}
    batch = PairCollator(Encoder(processor, segments=["plan", "look", "answer"]))([pair])
    assert batch["gaps"].tolist() == [[0.0, 0.5, 2.0]]
    assert set(batch["segment_ids"].unique().tolist()) == {-1, 0, 1, 2, 3}


def test_the_first_image_gets_the_rows_regions_unless_it_carries_its_own(pairs):
    example = pairs[1] | {"regions": "[1]"}
    first, second = read_images(example)
    assert first.info[KEY] == "[1]"
    assert KEY not in second.info
    own = read_images(example | {"images": [first, second], "regions": "[2]"})[0]
    assert own.info[KEY] == "[1]"
    bare = read_images(example | {"images": [second], "regions": "[2]"})[0]
    assert (bare.info[KEY], KEY in second.info) == ("[2]", False)


def test_a_batch_is_packed_without_padding_and_with_each_image_once(processor, pairs):
    batch = PairCollator(Encoder(processor))(pairs)
    assert batch["lengths"].shape == (3, 3)
    assert batch["input_ids"].shape == (1, int(batch["lengths"].sum()))
    assert batch["vision"]["pixel_values"].shape[0] == 4
    assert (batch["input_ids"] != processor.tokenizer.pad_token_id).all()


def test_missing_gaps_and_missing_segments_leave_a_pair_unscored(processor, pairs):
    pairs[0]["rejected"][0]["content"] = "No boundary at all."
    gaps = PairCollator(Encoder(processor))(pairs)["gaps"]
    assert gaps[0].isnan().all()
    assert gaps[1].tolist() == [3.0, 1.0]
    assert math.isnan(gaps[2][0])


def test_long_pairs_are_refused_by_name_never_cut(processor, pairs):
    with pytest.raises(InputError, match=r"'one image'.*max_length is 40"):
        PairCollator(Encoder(processor, max_length=40))(pairs)
    lengths = PairCollator(Encoder(processor))(pairs[:1])["lengths"][0].tolist()
    longest = lengths[0] + max(lengths[1:])
    PairCollator(Encoder(processor, max_length=longest))(pairs[:1])


def test_a_template_that_changes_answers_is_refused(processor, pairs, monkeypatch):
    monkeypatch.setattr(processor, "chat_template", processor.chat_template.replace("{{ text }}", "{{ text | upper }}"))
    with pytest.raises(InputError, match="chat template must keep"):
        PairCollator(Encoder(processor))(pairs)


def test_sft_learns_the_answer_alone(processor, pairs):
    rows = [{"images": pair["images"], "prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs]
    batch = SftCollator(Encoder(processor))(rows)
    for row, pair in enumerate(pairs):
        learned = batch["input_ids"][row][batch["labels"][row] != -100]
        assert processor.tokenizer.decode(learned) == f" {pair['chosen'][0]['content']} </s>"
    assert torch.equal(batch["attention_mask"].bool(), batch["input_ids"] != processor.tokenizer.pad_token_id)
