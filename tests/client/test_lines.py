"""What a worker may write, and what becomes of the rest."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.client.lines import LINE_BYTES_MIN, clean_line

MARK = re.compile(r"\.\.\. \[cut: (\d+) bytes\]$")
WIDE = st.text(alphabet="a\u00e9\u20ac\U00010348\u2028\x00", max_size=200)


@given(st.one_of(st.binary(max_size=400), WIDE, st.text(max_size=200)), st.integers(LINE_BYTES_MIN, 300))
def test_any_line_can_be_stored(line: bytes | str, bytes_max: int) -> None:
    """Whatever a worker writes becomes Unicode without NUL, within the maximum."""
    cleaned = clean_line(line, bytes_max)
    assert "\x00" not in cleaned
    assert len(cleaned.encode()) <= bytes_max


@given(WIDE.map(lambda text: text.replace("\x00", "") + "."), st.integers(LINE_BYTES_MIN, 300))
def test_a_cut_is_on_a_boundary_and_counted(line: str, bytes_max: int) -> None:
    """A line that fits is unchanged; one that does not is a beginning of whole characters and says what is missing."""
    cleaned = clean_line(line.encode(), bytes_max)
    if len(line.encode()) <= bytes_max:
        assert cleaned == line
        return
    mark = MARK.search(cleaned)
    assert mark is not None
    kept = cleaned[: mark.start()]
    assert line.startswith(kept)
    assert int(mark[1]) == len(line.encode()) - len(kept.encode())
    assert len(cleaned.encode()) > bytes_max - 8, "no more is cut than has to be"


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        (b"plain", "plain"),
        (b"ended\r\n", "ended"),
        (b"a\x00b", "a\ufffdb"),
        (b"a\xff\xfeb", "a\ufffd\ufffdb"),
        (b"half \xe2\x82", "half \ufffd"),
        ("a lone \ud800 surrogate", "a lone \ufffd surrogate"),
        ("", ""),
    ],
)
def test_what_cannot_be_said_is_marked(line: bytes | str, cleaned: str) -> None:
    """NUL and what is not UTF-8 become U+FFFD; everything around stays."""
    assert clean_line(line) == cleaned
