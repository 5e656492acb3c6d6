"""Cleaning: fuzzed with mixed replies, none of whose thinking, tokens or greetings may reach an answer."""

import asyncio
import re
from random import Random
from types import SimpleNamespace

import pytest

from inference.server.fair import Fair
from inference.server.server import ANSWER, Server, completion
from spatialreasoner.core.errors import BusyError
from spatialreasoner.core.types import Prompt, Question
from spatialreasoner.inference import cleaning
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.backends.replies import Assembled, parse_body, read_completions
from spatialreasoner.inference.backends.streams import Streamed
from spatialreasoner.inference.cleaning import clean_reply, clean_text
from spatialreasoner.language.responses import steps
from spatialreasoner.search.m3cts import SearchConfig, search

THOUGHT = "zqthought: <description>no</description> ### Step 1 Perhaps 3 m?"
GREETINGS = ("", "", "Sure! Here is my answer:\n\n", "Okay, zqgreeting, let me look.\n\n", "Certainly. Below is zqgreeting:\n")
BLOCKS = (
    "{a}", "{a}", "<think>{t}</think>\n\n{a}", "<thinking>\n{t}\n</thinking>{a}", "{t}</think>\n{a}", "[THINK]{t}[/THINK]{a}",
    "<|begin_of_thought|>{t}<|end_of_thought|>{a}", "◁think▷{t}◁/think▷{a}", "<thought>{t}</thought>{a}",
    "<think:opensource>{t}</think:opensource>\n{a}", "{t}</think:opensource>{a}", "{a}\n\n---\n*Note: zqmeasured by eye.*",
    "<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|>{a}",
    "<think>{t}</think><|begin_of_box|>{a}<|end_of_box|>", "<|channel>thought\n{t}<channel|>{a}", "<think>{t}", "{t}</think>",
    "analysisZq {t}assistantfinal{a}", "analysis\n{t}\n\nassistantcommentary zqto\n\nassistantfinal\n\n{a}", "analysisZq {t}",
    "<|channel|>commentary?<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|>{a}",
    "<|START_THINKING|>{t}<|END_THINKING|><|START_RESPONSE|>{a}<|END_RESPONSE|>", "<|inner_prefix|>{t}<|inner_suffix|>{a}",
    '<details type="reasoning" done="true">\n<summary>zqsummary</summary>\n{t}\n</details>\n{a}',
    "<think>{t}</think>\n\n<response>\n{a}\n</response>", "{a}\n\nUser: zqturn\nAssistant: {t}", "{a}\n### Human: zqturn",
    "```\n{a}\n```\n\nzqchat: is that all?", "{a}\n\nLet me know if zqyou need more!",
    "<tool_call>\n{{zqlook}}\n</tool_call>{a}",
)  # fmt: skip
ENDS = (
    "", "", "<|im_end|>", "<|im_end|>\n<|im_start|>user\nzqturn", "</s>", "<|eot_id|>", "<end_of_turn>",
    "<｜end▁of▁sentence｜>", "<|end▁of▁sentence|>", "[|endofturn|]", "<seed:eos>", "[e~[", "<|assistant_end|>",
    "<|endoftext|>zqturn", "<|return|>", "<eos>", "\n```", "<|im_end|><|im_end|>",
)  # fmt: skip
STARTS = ("", "", "<|im_start|>assistant\n", "<s>", "```\n", "<|start_header_id|>assistant<|end_header_id|>\n\n")
TOKEN = re.compile(
    r"<\|.*?\|>|<｜.*?｜>|</?s>|<eos>|<end_of_turn>|\[/?(?:INST|THINK)\]|</?think|◁|```|assistantfinal|\[\||\[e~|<seed|</?response"
)


def mixed(rng, rest):
    """One message of a model that adds all sorts of things to its answer."""
    start, block, end, greeting = (rng.choice(kinds) for kinds in (STARTS, BLOCKS, ENDS, GREETINGS))
    text = start + block.format(t=THOUGHT, a=greeting + rest) + end
    message = {"content": text}
    if rng.random() < 0.3:
        message[rng.choice(["reasoning_content", "reasoning", "thinking"])] = THOUGHT
    if rng.random() < 0.2:
        cut = rng.randrange(len(text) + 1)
        message["content"] = [{"type": "text", "text": text[:cut]}, {"type": "output_text", "text": text[cut:]}]
    if rng.random() < 0.1 and isinstance(message["content"], list):
        message["content"].insert(0, {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]})
    return message


def foreign(text):
    """What does not belong to an answer."""
    return [*TOKEN.findall(text), *re.findall(r"zq\w+", text), *re.findall(r"Sure!|Okay|Certainly", text)]


@pytest.mark.parametrize("prefix", ["", "".join(step.text for step in steps(ANSWER)[:2])])
def test_500_mixed_replies_hold_the_answer_alone(prefix):
    rng, answers = Random(5), 0
    for _ in range(500):
        rest = ANSWER[len(prefix) :]
        repeats = prefix if rng.random() < 0.3 else ""
        message = mixed(rng, repeats + rest)
        cleaned = clean_reply(message, prefix=prefix)
        assert foreign(cleaned.text) == [], message
        assert cleaned.text in {"", rest}, message
        answers += bool(cleaned.text)
    assert answers > 350


class NeverRight(Fair):
    """Half of the steps are fair, and no answer is right."""

    async def rate(self, question, prefix, step):
        return {"spatial": 0.5 if len(prefix) % 2 else -0.1}

    def succeeds(self, question, text):
        return False


def test_trees_hold_no_thinking_no_greeting_and_no_token(monkeypatch):
    """Replies from a real server, into real trees."""
    rng, texts = Random(7), []

    def respond(ask):
        message = mixed(rng, ask.rest().replace("0.5 m", f"{rng.randrange(99)} m"))
        return completion(ask, message.pop("content"), **message)

    server = Server(respond).start()
    question = Question(id="q", scene_id="s", category="width_data", text="How wide?", region_ids=(), answer="2 m")

    async def grow():
        policies = [ApiPolicy(f"api:{name}@{server.url}", ApiConfig(prefill=name == "a")) for name in "ab"]
        try:
            config = SearchConfig(max_model_rounds=100, stop="budget", max_expansions=9)
            for number in range(12):
                shown = Prompt(image=str(image), regions=(), request=f"{number}: how wide?")
                tree = await search(question, shown, policies, NeverRight(), config)
                texts.extend(node.text for node in tree.root.walk())
        finally:
            await asyncio.gather(*(policy.aclose() for policy in policies))

    import tempfile
    from pathlib import Path

    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.png"
        Image.new("RGB", (32, 32)).save(image)
        try:
            asyncio.run(grow())
        finally:
            server.stop()
    assert len(server.asks) >= 150
    assert len(texts) > 18
    assert [found for text in texts for found in foreign(text)] == []


@pytest.mark.parametrize(
    "prose",
    ["Okay, so I need to look. " + 90 * "It may be 3 m, not 2. ", "The form is <description>...</description>\n<reasoning>..."],
)
def test_thinking_without_a_mark_is_told_by_the_form_that_follows(prose):
    """However long it is, and though it quotes the form: the last answer in the whole form is the answer."""
    assert clean_text(f"{prose}{THOUGHT}\n\n{ANSWER}").text == ANSWER


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("### In Conclusion\nIf you would measure it: 2 m.\nUser: no", "### In Conclusion\nIf you would measure it: 2 m."),
        (
            "<description>Marks:\nHuman: 1.8 m\nUser: a man</description>",
            "<description>Marks:\nHuman: 1.8 m\nUser: a man</description>",
        ),
        ("analysis\nof the image: 2 m", "analysis\nof the image: 2 m"),
        ("Yes. The box is left.", "Yes. The box is left."),
        ("Certainly the left one. It is wide.", "Certainly the left one. It is wide."),
        ("Okay", "Okay"),
        ("The image shows a box.\n### Rationale\nI look.", "The image shows a box.\n### Rationale\nI look."),
        ("Here, the box is 2 m wide.", "Here, the box is 2 m wide."),
        ('{"mark": 1}', '{"mark": 1}'),
        ("<region1> is 2 m wide.", "<region1> is 2 m wide."),
        ("a \ud83d b \ud83d\ude00", "a \ufffd b \U0001f600"),
    ],
)
def test_answers_in_other_forms_stay_whole(text, kept):
    assert clean_text(text).text == kept


@pytest.mark.parametrize(
    "piece",
    [
        "<think>",
        "[THINK]",
        "<|",
        "sure! ",
        "</think>",
        "<|im_end|>",
        "<|im_end|> x",
        "<think ",
        "<|assistant|>",
        "### ",
        "\n",
        " ",
    ],
)
def test_hostile_texts_are_cleaned_in_linear_time(piece):
    import time

    begun = time.process_time()
    clean_text(piece * (400_000 // len(piece)))
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("unseen", ["\u200b\u2060", "\u202e \n", "\ufeff\u200d", "\u3164", "\u2800\u00ad"])
def test_what_nobody_sees_is_not_an_answer(unseen):
    assert clean_text(unseen * 50).text == ""
    assert clean_text(f"{unseen}Yes.").text.endswith("Yes.")


@pytest.mark.parametrize("before", ["", "\ufeff"])
@pytest.mark.parametrize("digits", [5, 99, 100, 100_000])
def test_a_number_of_any_length_and_a_byte_order_mark_cost_no_answer(before, digits):
    body = parse_body(
        f'{before}{{"choices": [{{"message": {{"content": "Yes."}}}}], "usage": {{"prompt_tokens": {"9" * digits}}}}}'
    )
    [completion] = read_completions("m", body, n=1, prefix="")
    assert (completion.text, completion.prompt_tokens) == ("Yes.", 99_999 if digits == 5 else 0)


def test_a_stream_shows_what_belongs_to_the_answer_alone():
    rng = Random(3)
    for _ in range(100):
        message = mixed(rng, ANSWER)
        content = message["content"]
        if not isinstance(content, str) or (f"{THOUGHT}</think" in content and "<think" not in content):
            continue  # what begins within its thinking is seen to only when that ends
        streamed, shown = Streamed(""), []
        for start in range(0, len(message["content"]), 7):
            shown.append(streamed.add(message["content"][start : start + 7]))
        shown.append(streamed.end())
        assert "".join(shown) == clean_text(message["content"]).text


def replied(choice, **usage):
    body = {"choices": [{"index": 0, "message": {"content": "Half"}, **choice}], "usage": usage}
    return read_completions("m", body, n=1, prefix="")[0]


def test_thinking_that_is_listed_nowhere_is_in_the_total():
    """Gemini's, also where the tokens ended with it and nothing was written."""
    for told in ({}, {"completion_tokens": 0}, {"completion_tokens": 5}):
        spent = replied({}, prompt_tokens=100, total_tokens=900, **told)
        assert (spent.prompt_tokens, spent.completion_tokens) == (100, 800)


def test_a_reason_in_an_object_is_read():
    """As SGLang tells why it ended."""
    with pytest.raises(BusyError, match="stopped with an error"):
        replied({"finish_reason": {"type": "abort", "message": "The request was aborted"}})
    assert replied({"finish_reason": {"type": "length", "length": 5}}).finish == "length"


def test_a_stream_of_many_small_pieces_is_put_together_in_linear_time():
    reply = Assembled()
    for _ in range(60_000):
        reply.add({"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]})
    assert len(reply.body()["choices"][0]["message"]["content"]) == 300_000


SIGNS = (
    *ENDS,
    *STARTS,
    *GREETINGS,
    "<",
    ">",
    "/",
    "|",
    "<description>",
    "</description>",
    "<reasoning>",
    "</reasoning>",
    "<region1>",
    "<region12>",
    "<region>",
    "<Region1>",
    "<DESCRIPTION>",
    "A box.",
    "### In Conclusion\n",
    "### Step 1\n",
    "ASSISTANT:",
    "Assistant: ",
    "analysis",
    "assistantfinal",
    "\nUser:",
    "\nUSER:",
    "\n### Instruction:",
    "\n### human:",
    "```",
    "\n```\n",
    "think>",
    "</think>",
    "<think",
    "answer>",
    "<final_answer>",
    "</Response>",
    "<tool_call>",
    "[INST]",
    "]~b]ai\n",
    "<0x0A>",
    "</s>",
    "<box>",
    "<image>",
    "\n---\n",
    "◁think▷",
    "｜",
    "\u017f",
    "\u212a",
    "é",
    "\r\n",
    "\x00",
    " ",
    "\n",
)
"""Pieces of what the patterns match, and of what looks like it."""


def test_texts_that_are_spared_patterns_are_cleaned_as_by_all_of_them(monkeypatch):
    rng = Random(7)
    texts = ["".join(rng.choices(SIGNS, k=rng.randrange(12))) for _ in range(20_000)]
    found = [clean_text(text, prefix="A box." if len(text) % 3 else "") for text in texts]
    monkeypatch.setattr(cleaning, "_FOREIGN", SimpleNamespace(search=lambda text: True))
    monkeypatch.setattr(cleaning, "_SPEAKERS", ("",))
    for text, each in zip(texts, found, strict=True):
        assert each == clean_text(text, prefix="A box." if len(text) % 3 else ""), text
