"""Questions are put to a model as its template and its tokenizer say, whether they were asked before or not."""

import pytest

from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends import openings
from spatialreasoner.inference.backends.openings import Openings, user_turn
from spatialreasoner.vlm.encoding import DECODING, TextReader, decoder_of
from spatialreasoner.vlm.rendering import chat_template_of

REQUESTS = [
    "",
    " ",
    "?",
    "How far is <region1> from <region2>?",
    "how far is <region1> from <region2>?",
    "  two blanks  ",
    "two lines\n\n",
    "What is <|image|>?",
    "Is it <|end|> or <|user|>?",
    "<|assistant|>",
    "<|assistant|>a",
    "<region17>",
    "<description>",
    "<think>",
    "ßtraße",
    "ǆ",
    "😀 <region1>",
    "\u202e",
    "a\x00b",
    "{{ 7*7 }}",
    "{% raw %}",
    "tab\there\r\n",
    "1.2345 0.57 36",
    "x" * 600,
    "word " * 300,
]
PREFIXES = [
    "",
    "<description>",
    "<description>A box.</description>\n",
    "It is 0.",
    "ends with a blank ",
    "<region1>",
    "x" * 600,
]


@pytest.fixture(scope="module")
def asked(nano):
    template, reader = chat_template_of(nano[1]), TextReader(nano[1])
    return template, reader, Openings(template, reader)


@pytest.mark.parametrize("request_", REQUESTS)
def test_what_was_asked_before_is_put_as_anew(asked, nano, request_):
    template, reader, found = asked
    for image in ("", "room.png"):
        frame = template.frame([user_turn(request_, image=bool(image))])
        for prefix in PREFIXES * 2:
            opening = found.of(Prompt(image=image, regions=(), request=request_, prefix=prefix))
            assert opening.text == frame.continued(prefix)
            assert opening.follows == frame.follows(prefix)
            assert (opening.prefix, opening.thought, opening.tail) == (prefix, "", "")
            read = reader.open_ended(opening.text)
            ids = nano[1].tokenizer(read.text, add_special_tokens=reader.adds_special(read.text))["input_ids"]
            assert list(found.ids(opening)) == ids[: len(ids) - read.surplus]


class Counting:
    """Counts what it writes, and may write the number, too, whatever its template is."""

    all_special_tokens = ()

    def __init__(self, chat_template, *, counts=False):
        self.chat_template, self.counts, self.times = chat_template, counts, 0

    def apply_chat_template(self, messages, **_):
        self.times += 1
        return f"{self.times if self.counts else 0} {messages}"


def test_few_questions_are_kept_and_no_long_ones(nano, monkeypatch):
    class Reader(TextReader):
        read = 0

        def open_ended(self, *args):
            self.read += 1
            return super().open_ended(*args)

    def asked_twice(requests):
        owner, reader = Counting("{{ messages }}"), Reader(nano[1])
        found = Openings(chat_template_of(owner), reader)
        for request in requests * 2:
            found.ids(found.of(Prompt(image="", regions=(), request=request)))
        return owner.times, reader.read

    monkeypatch.setattr(openings, "_REMEMBERED", 3)
    once, _ = asked_twice(["0?"])
    assert asked_twice(["0?", "1?", "2?"]) == (3 * once, 3)
    assert asked_twice([f"{number}?" for number in range(9)]) == (2 * 9 * once, 2 * 9)
    assert asked_twice(["x" * 600]) == (2 * once, 2)


@pytest.mark.parametrize("written", ["{{ strftime_now('%H') }}", "{{ messages | random }}", "{{ lipsum() }}", "{{ messages }}"])
def test_only_templates_without_time_and_chance_are_remembered(asked, written):
    owner = Counting(written, counts=True)
    found = Openings(chat_template_of(owner), asked[1])
    texts = {found.of(Prompt(image="", regions=(), request="How?")).text for _ in range(3)}
    assert len(texts) == (1 if written == "{{ messages }}" else 3)


def test_tokens_are_written_out_as_by_transformers(nano):
    tokenizer = nano[1].tokenizer
    write = decoder_of(tokenizer)
    for request in REQUESTS:
        ids = tokenizer(request)["input_ids"]
        assert write(ids) == tokenizer.decode(ids, **DECODING)
        assert write(ids[:-1]) == tokenizer.decode(ids[:-1], **DECODING)

    class Other(type(tokenizer)):
        def _decode(self, token_ids, **_):
            return "another"

    other = Other(tokenizer_object=tokenizer.backend_tokenizer)
    assert decoder_of(other)(ids) == "another"
