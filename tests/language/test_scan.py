"""What spares a text the rules that cannot match it: it changes no result."""

import itertools
import json
import random
import re
from pathlib import Path

import pytest

from reader_patterns import lazy_patterns, modules_of
from spatialreasoner import language
from spatialreasoner.language import options, scan
from spatialreasoner.language.conclusion import conclude
from spatialreasoner.language.lexicon import PHRASES
from spatialreasoner.language.options import restated_options
from spatialreasoner.language.question import question_asked
from spatialreasoner.language.scan import LAZY, lazily
from spatialreasoner.language.tokens import Reading

DATA = Path(__file__).parents[1] / "data"
FILES = (
    "answers",
    "replies",
    "fresh_replies",
    "stranger_replies",
    "refusals",
    *(f"free_answers/{half}" for half in ("dev", "unseen")),
)
MODULES = modules_of(language)


def asked_and_said():
    """Questions with replies, and with replies made of sentences of others and words of the rules."""
    rows = [json.loads(line) for name in FILES for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]
    said = [(question_asked(row["category"], row["question"]), row.get("pred") or row.get("text") or "") for row in rows]
    rng = random.Random(0)
    pieces = sorted({piece for _, text in said for piece in text.replace("\n", ". ").split(". ")})
    mixed = [
        (asked, rng.choice((". ", "\n", ", ", "\n\n- ")).join(rng.sample(pieces, rng.randint(2, 5)))) for asked, _ in said[::3]
    ]
    return [*said[::2], *mixed]


def concluded(rows):
    return [conclude(asked, text) for asked, text in rows]


def test_looking_for_words_first_changes_no_result(monkeypatch):
    rows = asked_and_said()
    found = concluded(rows)
    for module in MODULES:
        if hasattr(module, "holds"):
            monkeypatch.setattr(module, "holds", lambda text, words: True)
        for name, held in vars(module).copy().items():
            if isinstance(held, LAZY) and name.endswith("_HINTS"):
                monkeypatch.setattr(module, name, lazily(""))
    for (_, text), before, after in zip(rows, found, concluded(rows), strict=True):
        assert before == after, text


VARIES = (
    *("yes", "no", "true", "false", "both", "neither", "same", "equal", "<region1>", "[0]", "region_0>", "both regions"),
    *("neither region", "cannot be determined", "region a", "region [1]", "mask 2", "the object b", "subregion 1", "1 meter"),
    *("2 metres", "3 metre", "3m", "4 cm", "5 ft", "6 in", "7 feet", "8 foot", "9 inch", "10 inches", "2 yards", "1 yard"),
    *("3 centimeters", "4 centimetres", "5 pixels", "6 px", "7 km", "8 mm", "3 o'clock", "4 oclock", "5 clock"),
)
AROUND = (("", ""), ("a) ", ""), ("- ", "."), ("it is ", ""), ("region ", "b"), ("the ", " and so"), ("", " is"), ("**", "!"))


def test_no_option_is_passed_over(monkeypatch):
    texts = [
        f"{before}{one}{after}\n{before.replace('a', 'b')}{other}{after}"
        for one, other in itertools.product(VARIES, VARIES)
        for before, after in AROUND
    ]
    found = list(map(restated_options, texts))
    monkeypatch.setattr(options, "holds", lambda text, words: True)
    monkeypatch.setattr(options, "_HINTS", lazily(""))
    monkeypatch.setattr(options, "_holds_list", lambda plain: True)
    assert found == list(map(restated_options, texts))
    assert sum(bool(each.spans) for each in found) > 1000


@pytest.mark.parametrize("find", [scan.pattern_module, lambda: None])
def test_a_pattern_is_compiled_when_it_is_used(find, monkeypatch):
    monkeypatch.setattr(scan, "pattern_module", find)
    broken = lazily("(")
    with pytest.raises(re.error):
        broken.search("")
    assert lazily("A(?P<b>.)", re.IGNORECASE).fullmatch("ax")["b"] == "x"


def test_every_pattern_compiles():
    lazy = list(lazy_patterns(MODULES))
    assert len(lazy) > 200
    assert all(re.compile(held.pattern, held.flags) for held in lazy)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_is_one_token_wherever_it_stands(phrase):
    assert f" {phrase}" in Reading(f"so {phrase} so").words
    assert Reading(phrase).words[0] == phrase


@pytest.mark.parametrize("mention", ["region1", "region one", "object 2", "mask [1]", "mark 1", "areas 1 and 2", "<region1>"])
def test_a_mention_is_one_token(mention):
    assert Reading(f"{mention} is").words == [mention, " is"]


@pytest.mark.parametrize("factor", ["twice", "thrice", "half", "a third", "1.5 times", "three times", "triple", "two thirds"])
def test_a_factor_is_one_token(factor):
    assert Reading(f"It is {factor} as wide").words == ["it", " is", f" {factor}", " as", " wide"]
