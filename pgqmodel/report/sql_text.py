"""SQL as text: enough lexical rules to put literals in place of `$1`, to shorten it, and to write it in braces.

The code knows only where strings, names and comments of SQL begin and end.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from pgqmodel.phrases import counted

__all__ = [
    "counted_rows",
    "gist",
    "indented",
    "inline",
    "literal",
    "shortened",
    "terminated",
    "tidied",
    "without_braces",
]

_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<escape>  [eE]'(?:[^'\\]|\\.|'')*' )
    | (?P<string>  '(?:[^']|'')*' )
    | (?P<name>    "(?:[^"]|"")*" )
    | (?P<dollar>  \$(?P<tag>(?:[^\W\d]\w*)?)\$ .*? \$(?P=tag)\$ )
    | (?P<number>  \$\d+ )
    | (?P<word>    [^\W\d][\w$]* )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SHORT = 60
_WRITES = re.compile(
    r"(?<!\bfor )(?<!\bkey )\b(?P<verb>insert|update|delete|merge)\s+(?:into\s+|from\s+)?(?:only\s+)?"
    r"(?P<what>[\w.\"]+)",
    re.IGNORECASE,
)
_CALLS = re.compile(r"^(?P<verb>select)\s+(?:\*\s+from\s+)?(?P<what>[\w.\"]+)(?=\()", re.IGNORECASE)
_READS = re.compile(r"\b(?P<verb>select)\b.*?\bfrom\s+(?P<what>[\w.\"]+)", re.IGNORECASE)


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    """The kinds and texts of the tokens; their texts together are `sql`."""
    for match in _TOKEN.finditer(sql):
        kind = next(name for name, text in match.groupdict().items() if text is not None and name != "tag")
        yield kind, match[0]


def counted_rows(tag: str) -> str:
    """The number of rows in a command tag, in words; the tag itself if it has no number."""
    number = tag.rpartition(" ")[2]
    return counted(int(number), "row") if number.isdecimal() else tag or "done"


def literal(value: Any) -> str:
    """A parameter as a literal: text stays of unknown type, as a text parameter is."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return f"({value})" if value < 0 else str(value)
        case list() | tuple():
            return f"ARRAY[{', '.join(literal(item) for item in value)}]"
        case dict():
            return _quoted(json.dumps(value, ensure_ascii=False))
        case _:
            return _quoted(str(value))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def inline(sql: str, parameters: Sequence[Any]) -> str:
    """A statement with its parameters in place of `$1`, `$2`, ...; IndexError if one is missing."""
    return "".join(literal(parameters[int(text[1:]) - 1]) if kind == "number" else text for kind, text in _tokens(sql))


def without_braces(sql: str) -> str:
    """The same statement without a closing brace, which would end a block of a specification."""
    return "".join(_UNBRACED[kind](text) if "}" in text and kind in _UNBRACED else text for kind, text in _tokens(sql))


def _as_escape(body: str) -> str:
    return "E'" + body.replace("\\", "\\\\").replace("'", "''").replace("}", "\\x7D") + "'"


_UNBRACED: dict[str, Callable[[str], str]] = {
    "comment": lambda text: text.replace("}", ")"),
    "escape": lambda text: text.replace("}", "\\x7D"),
    "string": lambda text: _as_escape(text[1:-1].replace("''", "'")),
    "name": lambda text: "U&" + text.replace("\\", "\\\\").replace("}", "\\007D"),
    "dollar": lambda text: _as_escape(text[text.index("$", 1) + 1 : text.rindex("$", 0, -1)]),
}


def shortened(sql: str, width: int = _SHORT) -> str:
    """A statement in one line of at most `width` characters, without its comments."""
    line = " ".join("".join(" " if kind == "comment" else text for kind, text in _tokens(sql)).split())
    return textwrap.shorten(line, width, placeholder=" ...")


def gist(sql: str) -> str:
    """The verb of a statement and its table: `UPDATE job_queue`."""
    line = shortened(sql, max(len(sql), _SHORT))
    for pattern in (_WRITES, _CALLS, _READS):
        if match := pattern.search(line):
            return f"{match['verb'].upper()} {match['what']}"
    return textwrap.shorten(line, _SHORT // 2, placeholder=" ...")


def tidied(sql: str) -> str:
    """A statement without the margin that its lines have from its file."""
    first, newline, rest = sql.strip().partition("\n")
    return sql.strip() if _has_long_token(sql) else first + newline + indented(textwrap.dedent(rest), "  ")


def indented(sql: str, margin: str) -> str:
    """A statement with a margin, unless that would change a string in it."""
    return sql if _has_long_token(sql) else textwrap.indent(sql, margin)


def _has_long_token(sql: str) -> bool:
    """Whether a string or a name extends over the end of a line."""
    return any("\n" in text for kind, text in _tokens(sql) if kind not in {"other", "comment"})


def terminated(sql: str) -> str:
    """A statement with its semicolon."""
    kind, text = list(_tokens(sql.strip()))[-1]
    return sql.strip() + ("" if text == ";" else "\n;" if kind == "comment" else ";")
