"""Every parser of bytes that strangers write, on bytes near good ones; what `benchmarks/fuzz.py` broke once is tried again."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.targets import TARGETS

CRASHES = sorted((Path(__file__).parent / "crashes").glob("*/*"))
_PIECES = (b"", b"\0", b"\xff", b"<region1>", b"<region99>", b"</description>", b"### ", b"9" * 400, b"1e999", b"NaN", b"null")


def damaged(seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """A good input, cut, doubled and with pieces put in; or any bytes."""

    @st.composite
    def splice(draw: st.DrawFn) -> bytes:
        data = draw(st.sampled_from(seeds))
        for _ in range(draw(st.integers(1, 4))):
            begin, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
            piece = draw(st.sampled_from((*_PIECES, data[begin:end] * 2)) | st.binary(max_size=4))
            data = data[:begin] + piece + data[draw(st.sampled_from((begin, end))) :]
        return data

    return splice() | st.binary(max_size=60)


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_announces_its_errors_and_keeps_its_laws(name):
    target = TARGETS[name]

    @settings(max_examples=40)
    @given(data=damaged(target.seeds))
    def attempt(data: bytes) -> None:
        target.attempt(data)

    for seed in target.seeds:
        target.attempt(seed)
    attempt()


@pytest.mark.parametrize("path", CRASHES, ids=lambda path: f"{path.parent.name}-{path.name[:20]}")
def test_what_broke_a_parser_once_does_not_do_so_again(path):
    TARGETS[path.parent.name].attempt(path.read_bytes())
