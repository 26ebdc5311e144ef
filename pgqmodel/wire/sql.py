"""The kind of a statement: it may run in a transaction of ours, or it controls transactions itself.

A careful tokenizer: it skips comments, quotes and dollar quotes and looks words up in one table. A statement that it
is not sure about is passed whole. That loses interleavings, but the story stays right.
"""

from __future__ import annotations

import functools
import re
from enum import StrEnum

__all__ = ["StatementKind", "bare", "kind", "leading_words", "locks_what_it_reads", "opens"]


class StatementKind(StrEnum):
    """How the gate treats a unit."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SESSION = "session"
    """Touches its own session alone, so it goes on without a decision."""
    PLAIN = "plain"
    """May run inside a transaction of ours."""
    WHOLE = "whole"
    """Cannot run inside a transaction of ours, or must not."""


_KINDS = {
    **dict.fromkeys(("begin", "start"), StatementKind.BEGIN),
    **dict.fromkeys(("commit", "end"), StatementKind.COMMIT),
    **dict.fromkeys(("rollback", "abort"), StatementKind.ROLLBACK),
    **dict.fromkeys(
        ("set", "reset", "show", "listen", "unlisten", "discard", "deallocate", "prepare"), StatementKind.SESSION
    ),
    **dict.fromkeys(
        ("vacuum", "cluster", "reindex", "call", "do", "lock", "declare", "savepoint", "release", "checkpoint", "load"),
        StatementKind.WHOLE,
    ),
}
_WHOLE = re.compile(
    r"(create|drop)\s+(unique\s+)?(database|tablespace|subscription)\b|create\s+(unique\s+)?index\s+concurrently\b"
    r"|drop\s+index\s+concurrently\b|alter\s+(system|database|type)\b|(commit|rollback|prepare)\s+(prepared|transaction)\b"
    r"|copy\b.*\bfrom\s+stdin\b|alter\s+table\b.*\bconcurrently\b",
    re.DOTALL,
)
_PARTIAL_ROLLBACK = re.compile(r"rollback\s+(work\s+|transaction\s+)?to\b")
_OPENING = re.compile(
    r"begin(\s+(work|transaction))?"
    r"((\s*,)?\s+(isolation\s+level\s+(serializable|repeatable\s+read|read\s+(un)?committed)"
    r"|read\s+(only|write)|(not\s+)?deferrable))*\s*;?"
)
_SKIP = re.compile(
    r"--[^\n]*|/\*|e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$[a-z_0-9]*\$).*?\1",
    re.IGNORECASE | re.DOTALL,
)
_TAKES_ADVISORY_LOCK = re.compile(r"\bpg_(try_)?advisory_(xact_)?lock(_shared)?\s*\(")
_CHANGES_ROWS = re.compile(r"\b(insert|update|delete|merge)\b")
_COMMENT = re.compile(r"/\*|\*/")
_STEERING = frozenset({StatementKind.BEGIN, StatementKind.COMMIT, StatementKind.ROLLBACK, StatementKind.WHOLE})


@functools.lru_cache(maxsize=4096)
def kind(sql: str) -> StatementKind:
    """The kind of a statement, or of several separated by semicolons."""
    statements = [text for text in (part.strip().lower() for part in bare(sql).split(";")) if text]
    kinds = {_one(statement) for statement in statements}
    if len(statements) > 1:
        return StatementKind.WHOLE if kinds & _STEERING else StatementKind.PLAIN
    return kinds.pop() if kinds else StatementKind.SESSION


@functools.lru_cache(maxsize=4096)
def opens(sql: str) -> bool:
    """Whether this is a BEGIN that the server always accepts, so that its answer is known before it is sent."""
    return _OPENING.fullmatch(sql.strip().lower()) is not None


@functools.lru_cache(maxsize=4096)
def locks_what_it_reads(sql: str) -> bool:
    """Whether this is one SELECT that takes advisory locks for the rows it finds: it reads them as they were before."""
    text = bare(sql).lower().strip().rstrip(";")
    reads = text.lstrip("( \t\r\n").startswith(("select", "with")) and re.search(r"\bfrom\b", text) is not None
    alone = ";" not in text and not _CHANGES_ROWS.search(text)
    return reads and alone and _TAKES_ADVISORY_LOCK.search(text) is not None


def leading_words(sql: str) -> tuple[str, ...]:
    """The first three words of a statement in lower case; they are enough to classify it."""
    return tuple(re.findall(r"[a-z_]+", bare(sql).lstrip(" \t\r\n(").lower())[:3])


def _one(statement: str) -> StatementKind:
    if _WHOLE.match(statement):
        return StatementKind.WHOLE
    if _PARTIAL_ROLLBACK.match(statement):
        return StatementKind.PLAIN
    word = re.match(r"[a-z]*", statement)
    return _KINDS.get(word.group() if word else "", StatementKind.PLAIN)


def bare(sql: str) -> str:
    """The text, with a blank for each comment and an empty literal for each quoted text."""
    parts, at = [], 0
    while match := _SKIP.search(sql, at):
        is_comment = match.group()[:2] in {"--", "/*"}
        parts += [sql[at : match.start()], " " if is_comment else " '' "]
        at = _comment_end(sql, match.end()) if match.group() == "/*" else match.end()
    return "".join(parts) + sql[at:]


def _comment_end(sql: str, at: int) -> int:
    """The position where a comment ends; comments nest in Postgres."""
    depth = 1
    while depth and (mark := _COMMENT.search(sql, at)):
        depth += 1 if mark.group() == "/*" else -1
        at = mark.end()
    return len(sql) if depth else at
