"""What is trained is the whole conversation as the model's own template and tokenizer write it, and what is continued."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL import Image

from chat_forms import FORMS, make_processor
from spatialreasoner.core.errors import ConfigError, InputError
from spatialreasoner.testing.tiny_templates import FASTVLM
from spatialreasoner.training.collate import Encoder, SftCollator
from spatialreasoner.vlm.encoding import TextReader
from spatialreasoner.vlm.rendering import ChatTemplate, chat_template_of
from spatialreasoner.vlm.template_limits import check_templates

LONG = "<description>A red box.</description>\n<reasoning>It is tall.</reasoning>\n### In Conclusion\nYes, 1.5 m."
THOUGHT = "<think>\nI write <description>x</description> later.\n</think>\n\n" + LONG
NAMES = [form.name for form in FORMS]
THINKERS = [form for form in FORMS if form.thinks is not None]


@pytest.fixture(scope="module")
def processors():
    return {form.name: make_processor(form) for form in FORMS}


def question(form):
    text = {"type": "text", "text": "How tall?"}
    return {"role": "user", "content": "How tall?" if form.image is None else [{"type": "image"}, text]}


def row(form, **answers):
    images = [] if form.image is None else [Image.new("RGB", (40, 30))]
    texts = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    return {"images": images, "prompt": [question(form)], **texts}


def trained(form, processor, answer, **options):
    (parts,), _ = Encoder(processor, **options)([row(form, completion=answer)], ("completion",))
    return [part.ids.tolist() for part in parts]


def conversation(form, processor, answer, **options):
    """A whole conversation as transformers reads it."""
    said = answer if form.image is None else [{"type": "text", "text": answer}]
    asked = question(form)
    if form.image is not None:
        asked["content"][0]["image"] = Image.new("RGB", (40, 30))
    read = processor.apply_chat_template(
        [asked, {"role": "assistant", "content": said}], tokenize=True, return_dict=True, return_tensors="pt", **options
    )
    return read["input_ids"][0].tolist()


def decoded(processor, ids):
    return getattr(processor, "tokenizer", processor).decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
@pytest.mark.parametrize("answer", ["Yes.", LONG])
def test_the_whole_conversation_is_trained_and_one_end_at_most_is_added(form, answer, processors):
    processor = processors[form.name]
    tokenizer = getattr(processor, "tokenizer", processor)
    prompt, learned = trained(form, processor, answer)
    whole = conversation(form, processor, answer)
    writes_end = any(token in form.answer[1] for token in form.special)
    assert prompt + learned == whole + ([] if writes_end else [tokenizer.eos_token_id])
    if form.begins and (form.image or "bos_token" in form.first):
        assert (prompt + learned).count(tokenizer.bos_token_id) == 1
        assert prompt[0] == tokenizer.bos_token_id


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_what_is_learned_is_the_answer_with_what_is_written_about_it(form, processors):
    processor = processors[form.name]
    prompt, learned = trained(form, processor, "Yes.")
    before = decoded(processor, prompt)
    assert before.endswith(form.prompt_end)
    assert decoded(processor, prompt + learned).removeprefix(before) == form.learned
    batch = SftCollator(Encoder(processor))([row(form, completion="Yes.")])
    assert batch["labels"][0].tolist() == [-100] * len(prompt) + learned


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
@pytest.mark.parametrize("thinking", [False, True])
def test_what_is_continued_begins_what_is_trained(form, thinking, processors):
    processor = processors[form.name]
    template, reader = chat_template_of(processor, thinking=thinking), TextReader(processor)
    answer = THOUGHT if thinking and form.name == "DeepSeek-R1" else LONG  # it always opens a block, which an answer must close
    prompt, learned = trained(form, processor, answer, enable_thinking=thinking)
    frame = template.frame([question(form)])
    stages = [LONG[: LONG.index(cut)] for cut in ("<reasoning>", "### In")]
    for prefix in [""] if answer == THOUGHT else ["", *stages]:
        opened = reader.open_ended(frame.continued(prefix), frame.follows(prefix))
        (seen,) = reader.see([opened.text], [row(form)["images"]]).texts
        read = reader.encode(seen, special=reader.adds_special(opened.text)).ids
        ids = read[: len(read) - opened.surplus]
        assert ids == (prompt + learned)[: len(ids)]
        assert len(ids) >= len(prompt)
    assert frame.continued("") == frame.opening


@pytest.mark.parametrize("form", THINKERS, ids=[form.name for form in THINKERS])
def test_thinking_that_is_asked_for_is_learned_from_where_it_is_opened(form, processors):
    processor = processors[form.name]
    prompt, learned = trained(form, processor, "Yes.", enable_thinking=True)
    assert decoded(processor, learned) == form.learned_thinking
    assert prompt + learned == conversation(form, processor, "Yes.", enable_thinking=True)


@pytest.mark.parametrize("name", ["Qwen3", "Qwen3.5", "Qwen3-VL Thinking", "DeepSeek-R1", "Llama 3", "LLaVA-1.5"])
def test_thinking_is_a_segment_of_its_own_and_no_other(name, processors):
    form, processor = FORMS[NAMES.index(name)], processors[name]
    encoder = Encoder(processor, segments=("thinking", "description", "reasoning"), markup="drop", enable_thinking=True)
    ((_, answer),), _ = encoder([row(form, completion=THOUGHT)], ("completion",))
    thinking, description, reasoning = (decoded(processor, answer.ids[answer.segments == index]) for index in range(3))
    assert thinking.strip() == "I write <description>x</description> later."
    assert description.startswith("A red box.")
    assert "It is tall." in reasoning
    plain = Encoder(processor, markup="drop", enable_thinking=True)
    ((_, answer),), _ = plain([row(form, completion=THOUGHT)], ("completion",))
    assert decoded(processor, answer.ids[answer.segments == 0]).startswith("A red box.")


def test_thinking_that_the_template_would_leave_out_is_kept_where_it_is_asked_for(processors):
    form = FORMS[NAMES.index("DeepSeek-R1")]
    prompt, learned = trained(form, processors[form.name], THOUGHT, enable_thinking=True)
    assert decoded(processors[form.name], prompt).endswith("<|Assistant|><think>")
    assert decoded(processors[form.name], prompt + learned).endswith(f"<|Assistant|>{THOUGHT}<|eos|>")


@pytest.mark.parametrize(
    ("name", "answer", "thinking", "reason"),
    [
        ("Qwen3.5", THOUGHT, False, "enable_thinking is off"),
        ("DeepSeek-R1", THOUGHT, False, "enable_thinking is off"),
        ("DeepSeek-R1", LONG, True, "enable_thinking is on"),
    ],
)
def test_rows_that_think_otherwise_than_they_are_asked_are_refused(name, answer, thinking, reason, processors):
    form = FORMS[NAMES.index(name)]
    with pytest.raises(InputError, match=reason):
        trained(form, processors[name], answer, enable_thinking=thinking)


def test_a_pair_shares_its_prompt_and_each_side_is_its_own_conversation(processors):
    for form in FORMS:
        processor = processors[form.name]
        pair = row(form, chosen=LONG, rejected="Yes.")
        ((prompt, *sides),), _ = Encoder(processor)([pair], ("chosen", "rejected"))
        for answer, side in zip((LONG, "Yes."), sides, strict=True):
            whole = conversation(form, processor, answer)
            assert (prompt.ids.tolist() + side.ids.tolist())[: len(whole)] == whole


def test_an_appended_end_is_said_once(processors, caplog):
    form = FORMS[0]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            trained(form, make_processor(form), "Yes.")
    assert sum("is appended" in record.message for record in caplog.records) <= 1


def test_a_token_across_the_boundary_is_the_answers(processors):
    form = FORMS[NAMES.index("Qwen3.5")]
    tokenizer = make_processor(form).tokenizer
    whole = "".join(["<think>", "\n\n", "</think>"])
    assert len(tokenizer(whole)["input_ids"]) == 3  # both line ends are one token, and the prompt ends between them
    prompt, learned = trained(form, processors[form.name], "Yes.", enable_thinking=True)
    assert decoded(processors[form.name], prompt).endswith("<think>")
    assert decoded(processors[form.name], learned).startswith("\n\n</think>")


def test_a_tokenizer_without_offsets_gives_the_same(processors):
    for name in ("Mistral", "Granite", "Zephyr", "Qwen3"):
        form, processor = FORMS[NAMES.index(name)], processors[name]
        examples = [row(form, chosen=LONG + " é🙂", rejected="Yes.")]
        expected, _ = Encoder(processor)(examples, ("chosen", "rejected"))
        found, _ = Encoder(Slow(processor))(examples, ("chosen", "rejected"))
        for one, other in zip(expected[0], found[0], strict=True):
            assert one.ids.tolist() == other.ids.tolist()
            assert one.segments.tolist() == other.segments.tolist()


class Slow:
    """A tokenizer that does not say where its tokens are."""

    is_fast = False

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __call__(self, *texts, return_offsets_mapping=False, **options):
        assert not return_offsets_mapping
        return self.inner(*texts, **options)


def test_a_tokenizer_that_ends_every_text_ends_it_once(processors):
    form = FORMS[0]
    processor = make_processor(form)
    from tokenizers import processors as post

    ids = [(token, processor.tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    processor.tokenizer.backend_tokenizer.post_processor = post.TemplateProcessing(single="<s> $A </s>", special_tokens=ids)
    assert trained(form, processor, "Yes.") == trained(form, processors[form.name], "Yes.")


def test_a_model_without_a_template_is_refused_by_name():
    processor = make_processor(FORMS[0])
    processor.chat_template = processor.tokenizer.chat_template = None
    with pytest.raises(ConfigError, match="LlavaProcessor has no chat template"):
        trained(FORMS[0], processor, "Yes.")


def test_a_template_that_has_no_end_and_no_end_token_is_refused():
    processor = make_processor(FORMS[0])
    processor.tokenizer.eos_token = None
    with pytest.raises(InputError, match="could never"):
        trained(FORMS[0], processor, "Yes.")


@pytest.mark.parametrize("end", ["</s>", "<s></s>"])
def test_answers_that_hold_their_own_end_are_refused(end, processors):
    with pytest.raises(InputError, match="which ends one"):
        trained(FORMS[0], processors[FORMS[0].name], f"Yes.{end}")


@settings(max_examples=60)
@given(st.sampled_from([form for form in FORMS if form.name != "DeepSeek-R1"]), st.text(max_size=30), st.booleans())
def test_any_answer_is_rendered_as_the_template_does_or_refused(form, answer, thinking):
    compiled = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(form.template)

    def apply(turns, asked):
        return compiled.render(
            messages=turns, add_generation_prompt=asked, enable_thinking=thinking, bos_token="<s>", eos_token="</s>"
        )

    frame = ChatTemplate(apply, special=form.special, thinking=thinking).frame([question(form)])
    try:
        whole = frame.whole(answer)
    except InputError:
        assert not answer.strip() or "think>" in answer or answer != answer.strip()
        return
    assert whole.text == apply([question(form), {"role": "assistant", "content": answer}], False)
    assert whole.text.startswith(frame.opening)
    assert answer.strip() in whole.text[whole.start :]
    assert whole.text[whole.begin :].startswith(answer.strip()) or answer != answer.strip()


def test_a_template_that_takes_answers_as_text_alone_beside_blocks():
    def apply(turns, asked):
        said = ""
        for turn in turns:
            content = turn["content"]
            said += "A: " + content if turn["role"] == "assistant" else f"U: {content[0]['text']}|"
        return said + "A:" * asked

    frame = ChatTemplate(apply).frame([{"role": "user", "content": [{"type": "text", "text": "How?"}]}])
    assert (frame.opening, frame.whole("Yes.").text) == ("U: How?|A:", "U: How?|A: Yes.")


def test_a_template_that_knows_blocks_alone_is_given_blocks_and_loses_no_text():
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(FASTVLM)
    turns = [{"role": "system", "content": "You help."}, {"role": "user", "content": "How tall?"}]
    images = [turns[0], {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How tall?"}]}]
    for asking, image in ((turns, ""), (images, "<image>")):
        frame = ChatTemplate(lambda said, asked: template.render(messages=said, add_generation_prompt=asked)).frame(asking)
        written = frame.whole("Yes.")
        asked = f"<|im_start|>system\n\nYou help.<|im_end|>\n<|im_start|>user\n{image}\nHow tall?<|im_end|>\n"
        assert written.text == asked + "<|im_start|>assistant\n\nYes.<|im_end|>\n"
        assert written.text[: written.start] == asked + "<|im_start|>assistant"


def test_a_template_that_leaves_answers_out_is_refused():
    with pytest.raises(InputError, match="must keep an answer's text; it turned one into 'How tall"):
        ChatTemplate(lambda turns, asked: "How tall?").frame([{"role": "user", "content": "How tall?"}])


def test_a_template_of_plain_texts_reads_plain_texts():
    template = ChatTemplate(
        lambda turns, asked: "".join(f"{turn['role']}: {turn['content']}\n" for turn in turns) + "assistant: " * asked
    )
    frame = template.frame([{"role": "user", "content": [{"type": "text", "text": "How?"}]}])
    assert frame.whole("Yes.").text == "user: How?\nassistant: Yes.\n"
    with pytest.raises(InputError, match="turns of plain text only, not images"):
        template.frame([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How?"}]}])


def test_a_template_that_joins_strings_is_given_strings():
    def apply(turns, asked):
        return "".join(turn["role"] + ": " + turn["content"] + "\n" for turn in turns) + "assistant: " * asked

    template = ChatTemplate(apply)
    for content in ("How?", [{"type": "text", "text": "How?"}]):
        assert template.frame([{"role": "user", "content": content}]).whole("Yes.").text == "user: How?\nassistant: Yes.\n"
    with pytest.raises(TypeError):
        template.frame([{"role": "user", "content": [{"type": "image"}]}])


@pytest.mark.parametrize(
    "template",
    ["{{ messages[0]['content'][1]['text'] ~ nothing.there }}", "{{ 1 + 'a' }}", "{{ raise_exception('no images') }}"],
)
def test_a_template_that_fails_on_a_conversation_is_told_without_a_traceback(template):
    def refuse(message):
        raise TemplateError(message)

    class Owner:
        chat_template, all_special_tokens = template, ()

        def apply_chat_template(self, messages, **switches):
            environment = ImmutableSandboxedEnvironment()
            environment.globals["raise_exception"] = refuse
            return environment.from_string(template).render(messages=messages)

    with pytest.raises(InputError, match="cannot write this conversation"):
        chat_template_of(Owner()).frame([{"role": "user", "content": "How tall?"}])


class Owner:
    """A tokenizer with a template that passes its trial and never ends on one text."""

    chat_template = (
        "{% if 'twirl' in messages[0].content %}{% for a in messages[0].content %}{% for b in messages[0].content %}"
        "{% for c in messages[0].content %}{% endfor %}{% endfor %}{% endfor %}{% endif %}{{ messages[0].content }}"
    )
    all_special_tokens = ()

    def apply_chat_template(self, messages, *, tokenize, add_generation_prompt):
        return ImmutableSandboxedEnvironment().from_string(self.chat_template).render(messages=messages)


def test_a_template_that_does_not_end_on_a_conversation_is_stopped_in_any_thread(monkeypatch):
    monkeypatch.setattr("spatialreasoner.vlm.rendering.RENDERING_SECONDS", 0.3)
    check_templates(Owner.chat_template, "a model")
    template = chat_template_of(Owner())
    with ThreadPoolExecutor(2) as pool:
        texts = ("twirl " * 1000, "twirl " * 999)
        for failed in [pool.submit(template._apply, [{"role": "user", "content": text}], True) for text in texts]:
            with pytest.raises(InputError, match=r"did not finish this conversation in 0\.3 s"):
                failed.result(60)
    assert template._apply([{"role": "user", "content": "all is well"}], True) == "all is well"


def test_a_template_that_writes_without_end_is_told(monkeypatch):
    monkeypatch.setattr("spatialreasoner.vlm.rendering.MOST_RENDERED", 1000)
    with pytest.raises(InputError, match="made 1001 characters"):
        chat_template_of(Owner())._apply([{"role": "user", "content": "x" * 1001}], True)
