"""Chat templates of strangers end, or are refused with what they did."""

import pytest

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.template_limits import check_templates

PLAIN = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"

FINE = {
    "plain": PLAIN,
    "blocks": "{% for c in messages[0]['content'] %}{{ '<image>' if c.type == 'image' else c['text'] }}{% endfor %}",
    "own error": "{{ raise_exception('system first') }}",
    "unknown name": "{{ tools[0].name }}",
    "generation": "{% generation %}{{ messages[0].content }}{% endgeneration %}",
    "date": "{{ strftime_now('%Y') }}{% set ns = namespace(first=true) %}{{ ns.first }}{{ messages | tojson }}",
    "break": "{% for m in messages %}{% break %}{% endfor %}",
}

REFUSED = {
    "nested ranges": ("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}", "in loops"),
    "one huge range": ("{% for a in range(10000000) %}{% endfor %}", "in loops"),
    "a loop over what it made": (
        "{% for a in range(99999) | list %}{% for b in range(99999) | list %}{% endfor %}{% endfor %}",
        "did not",
    ),
    "a branch that is not reached": ("{% if false %}{{ 'a' * 600000000 }}{% endif %}", "multiplies by 600000000"),
    "a branch of long talks": ("{% if messages | length > 9 %}{{ 'a' * 10 ** 10 }}{% endif %}", "multiplies by 10000000000"),
    "a power": ("{% if messages | length > 9 %}{{ 7 ** 99999 }}{% endif %}", "to the power 99999"),
    "memory": ("{% set a = 'x' * 99999 %}{{ (a * 99999) | length }}", "asks for too much"),
    "length": ("{% for a in range(2000) %}{{ 'x' * 1000 }}{% endfor %}", "more than 1000000 characters"),
    "attributes": ("{{ messages.__class__.__mro__ }}", "may not"),
    "include": ("{% include 'other.jinja' %}", "includes another file"),
    "import": ("{% from 'other.jinja' import x %}", "includes another file"),
    "recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "asks for too much"),
    "text by text": (
        "{% for a in messages[0].content %}{% for b in messages[0].content %}{% endfor %}{% endfor %}",
        "did not finish",
    ),
    "the length times itself": ("{{ messages[0].content * (messages[0].content | length) }}", "characters of a long|too much"),
    "turns by turns by turns by turns": (
        "{% for a in messages %}{% for b in messages %}{% for c in messages %}{% for d in messages %}{% for e in messages %}"
        "{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
        "did not finish",
    ),
    "no template": ("{% for %}", "is not a Jinja template"),
    "itself too long": (" " * 1_000_001, "expected at most 1000000"),
}


@pytest.mark.parametrize("name", FINE)
def test_templates_of_models_pass(name):
    check_templates(FINE[name], "a model")


@pytest.mark.parametrize("name", REFUSED)
def test_what_exceeds_a_limit_is_refused(name):
    template, said = REFUSED[name]
    with pytest.raises(ConfigError, match=said):
        check_templates({"default": PLAIN, "other": template}, "a model")
