"""Numbers in digits and words: how they are spelled, as patterns, and what they are worth.

Reads "1,234.5", "1.234,5", "1 250 mm", "2 1/2", "2½", "7.6 x 10^-1", "two and a half", "two-and-three-fourths", "eight tenths
of a", "point five". Every repetition in the patterns is bounded, so searching for them is linear in the text.
"""

from collections.abc import Mapping
from functools import lru_cache

from spatialreasoner.language.scan import lazily

FRACTIONS: Mapping[str, float] = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3, "⅔": 2 / 3}
PARTS: Mapping[str, float] = {
    "half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4, "fourth": 1 / 4, "fifth": 1 / 5, "eighth": 1 / 8, "tenth": 1 / 10,
}  # fmt: skip
_COUNTS: Mapping[str, float] = {
    "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0,
}  # fmt: skip

# Every run is bounded: digits beyond these are not a measurement, and converting them would cost quadratic time.
_POWER = r" ?(?:x|\\times|\\cdot|\*) ?10\^?\{?[+-]?\d{1,2}\}?"
DIGITS = (
    r"(?:\d{1,3}(?:\.\d{3}){1,3},\d{1,20}|\d{1,3}(?:,\d{3}){1,3}(?:\.\d{1,20})?"
    r"|\d{1,3}(?: \d{3}){1,2}(?= ?(?:m|mm|cm|km|met|mil|cent|ft|feet|in|inch)[a-z]{0,9}\b)|\d{1,3},\d{1,2}"
    r"|\d{1,3}[ -]\d{1,2}/\d{1,2}|\d{1,3}/\d{1,3}(?: of an?)?|\d{0,4}[½¼¾⅓⅔]|\d{1,4} [½¼¾⅓⅔]"
    rf"|\d{{1,12}}(?:\.\d{{1,20}})?(?:{_POWER}|e[+-]?\d{{1,2}}| and (?:a|one|three) (?:half|quarters?)(?= [a-z]))?"
    r"|\.\d{1,20})(?!\d|\.\d)"
)
ONES = "one|two|three|four|five|six|seven|eight|nine"
TENS = rf"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[ -](?:{ONES}))?"
SMALL = rf"(?:{TENS}|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|{ONES})"
WORDS = (
    rf"(?:(?:{ONES}|a) hundred(?:(?: and)? {SMALL})?|(?:{SMALL}|zero)"
    rf"(?: point(?: (?:zero|oh|{ONES})){{1,4}}"
    r"|[ -]and[ -](?:a|one|two|three|four)[ -](?:half|quarters?|thirds?|fourths?|fifths?|eighths?|tenths?))?"
    rf"|point(?: (?:zero|oh|{ONES})){{1,4}}|a dozen|a couple(?: of)?)"
)
_PART = (
    rf"(?:(?:(?:an?|{ONES})[ -])?(?:half|thirds?|quarters?|fourths?|fifths?|eighths?|tenths?)(?: of)?(?: an?| one)?"
    r"|an?(?= (?:meter|metre|foot|yard|inch|centimet|millimet|kilomet|mile)))"
)
# Atomic: "two and a half" must not fall apart into a range of two numbers when no unit follows it at once.
NUMBER = rf"(?>{DIGITS}|(?:{_PART}|{WORDS})\b)"
# What a number may follow. A plain set in front lets the search skip from one to the next: three times as fast.
_BEFORE = r"[ \n\t\r(\[{\"'~=$*+/<>:;,|\\_&-]"
BEGINS = (
    r"[\d½¼¾⅓⅔]|\.\d|an? (?:hal|hun|doz|cou|qua|thi|fou|fif|met|foo|yar|inc|cen|mil|kil|eig|ten)|half|quart|one|point"
    r"|t(?:hir|hre|w[oe]|en)|f(?:i[fv]|o(?:ur|rt))|six|seven|eigh|elev|nine|zero"
)
"""With what every number begins."""
START = rf"{_BEFORE}(?={BEGINS})(?<![a-z\d]-)"


_DECIMAL_COMMA = lazily(r"\d{1,3},\d{1,2}|\d{1,3}(?:\.\d{3})+,\d+")
_POWER_OF_TEN = lazily(r" ?(?:x|\\times|\\cdot|\*) ?10\^?\{?([+-]?\d+)\}?")


@lru_cache(maxsize=4096)
def number(text: str) -> float:
    """The value of a number in digits or words.

    >>> number("1,234.5"), number("1 1/2"), number("two and a half"), number("three quarters of a")
    (1234.5, 1.5, 2.5, 0.75)
    """
    return _digits(text) if text[0].isdigit() or text[0] == "." or text[-1] in FRACTIONS else _words(text)


def _digits(text: str) -> float:
    if text[-1] in FRACTIONS:
        return FRACTIONS[text[-1]] + float(text[:-1].strip() or 0)
    text = text.partition(" of")[0]
    text, _, part = text.partition(" and ")
    if part:
        return float(text) + _part(part.split())
    whole, slash, divisor = text.replace("-", " ", 1).rpartition("/") if "/" in text else ("", "", "")
    if slash:
        count, _, dividend = whole.rpartition(" ")
        return float(count or 0) + float(dividend) / (float(divisor) or 1.0)
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(".", "").replace(",", "."))  # "1,5 m" and "1.234,5 cm": a decimal comma
    power = _POWER_OF_TEN.sub(lambda match: f"e{match[1]}", text.replace(",", ""))
    return float(power.replace(" ", ""))


def _words(text: str) -> float:
    words = [word for word in text.replace("-", " ").split() if word != "of"]
    if _is_part(words[-1]) or (len(words) > 1 and words[-1] in ("a", "an", "one") and _is_part(words[-2])):
        words = words if _is_part(words[-1]) else words[:-1]
        if "and" not in words:
            return _part(words)
        cut = len(words) - 1 - words[::-1].index("and")
        return _whole(words[:cut]) + _part(words[cut + 1 :])
    return _whole(words)


def _is_part(word: str) -> bool:
    return word in PARTS or word.removesuffix("s") in PARTS


def _part(words: list[str]) -> float:
    """The value of "half", "a quarter", "three fourths"."""
    return _COUNTS.get(words[0], 1.0) * PARTS[words[-1] if words[-1] in PARTS else words[-1].removesuffix("s")]


def _whole(words: list[str]) -> float:
    """Words without a fraction: "a dozen", "one hundred and five", "two point five"."""
    from text_to_num import text2num

    if words[0] in ("a", "an"):
        special = {"dozen": 12.0, "couple": 2.0, "hundred": 100.0}.get(words[1] if len(words) > 1 else "", 1.0)
        return special + (_whole([w for w in words[2:] if w != "and"]) if special == 100.0 and words[2:] else 0.0)
    if "point" in words:
        cut = words.index("point")
        decimals = "".join(str(text2num("zero" if word == "oh" else word, "en")) for word in words[cut + 1 :])
        return float(f"{text2num(' '.join(words[:cut]), 'en') if cut else 0}.{decimals}")
    return float(text2num(" ".join(words), "en"))
