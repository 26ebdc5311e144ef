"""SQL as text: literals, short forms, and what a block of a specification can hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.report.sql_text import gist, indented, inline, literal, shortened, terminated, tidied, without_braces


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "NULL"),
        (True, "true"),
        (7, "7"),
        (-7, "(-7)"),
        (1.5, "1.5"),
        ("it's", "'it''s'"),
        ("", "''"),
        ("back\\slash", "'back\\slash'"),
        (["a", 1], "ARRAY['a', 1]"),
        ({"a": "é"}, '\'{"a": "é"}\''),
    ],
)
def test_a_parameter_becomes_a_literal(value: Any, written: str) -> None:
    """Each kind of value is written so that Postgres reads the same value; text stays of unknown type."""
    assert literal(value) == written


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("SELECT $1, $2", "SELECT 'a', 'b'"),
        ("SELECT $2 -$1", "SELECT 'b' -'a'"),
        ("SELECT '$1', $1", "SELECT '$1', 'a'"),
        ("SELECT E'\\'$1', $1", "SELECT E'\\'$1', 'a'"),
        ('SELECT "$1", $1', "SELECT \"$1\", 'a'"),
        ("SELECT $$ $1 $$, $1", "SELECT $$ $1 $$, 'a'"),
        ("SELECT $body$ $1 $$ $body$, $1", "SELECT $body$ $1 $$ $body$, 'a'"),
        ("SELECT 1 -- $1\n, $1", "SELECT 1 -- $1\n, 'a'"),
        ("SELECT /* $1 */ $1::text", "SELECT /* $1 */ 'a'::text"),
        ("SELECT column$1, $1", "SELECT column$1, 'a'"),
    ],
)
def test_parameters_are_found_outside_of_strings_only(sql: str, written: str) -> None:
    """`$1` is a parameter only where Postgres would take it for one."""
    assert inline(sql, ("a", "b")) == written


def test_a_missing_parameter_is_noticed() -> None:
    """A statement with more parameters than values is not written down half."""
    with pytest.raises(IndexError):
        inline("SELECT $1, $2", ("a",))


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("SELECT '{}'", "SELECT E'{\\x7D'"),
        ("SELECT 'it''s \\ }'", "SELECT E'it''s \\\\ \\x7D'"),
        ("SELECT E'\\n}'", "SELECT E'\\n\\x7D'"),
        ("SELECT $$a'}$$", "SELECT E'a''\\x7D'"),
        ('SELECT 1 AS "a}"', 'SELECT 1 AS U&"a\\007D"'),
        ("SELECT 1 -- }", "SELECT 1 -- )"),
        ("SELECT '{'", "SELECT '{'"),
    ],
)
def test_closing_braces_are_said_otherwise(sql: str, written: str) -> None:
    """A block of a specification ends at the first closing brace, so none is left in a statement."""
    assert without_braces(sql) == written


@given(st.text(alphabet="ab }{'\"$\\-/*\n", max_size=30))
def test_no_text_is_lost(text: str) -> None:
    """Whatever the text, valid SQL or not: with nothing to replace it comes through unchanged."""
    plain = text.replace("}", "")
    assert without_braces(plain) == plain
    assert inline(plain, ()) == plain


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE job_queue SET x = 1", "UPDATE job_queue"),
        ("INSERT INTO q.jobs (a) VALUES ($1)", "INSERT q.jobs"),
        ("DELETE FROM jobs WHERE id = $1", "DELETE jobs"),
        ("SELECT id, (SELECT 1) FROM jobs FOR UPDATE", "SELECT jobs"),
        ("select pg_try_advisory_lock($1)", "SELECT pg_try_advisory_lock"),
        ("WITH n AS (SELECT id FROM jobs FOR UPDATE SKIP LOCKED) UPDATE jobs SET a = 1", "UPDATE jobs"),
        ("SELECT id FROM jobs FOR NO KEY UPDATE SKIP LOCKED", "SELECT jobs"),
        ("SELECT * FROM claim($1)", "SELECT claim"),
        ("CALL work()", "CALL work()"),
    ],
)
def test_the_gist_of_a_statement(sql: str, said: str) -> None:
    """The terminal's table names a statement by its verb and what it is about."""
    assert gist(sql) == said


def test_a_shortened_statement_fits_one_line() -> None:
    """A statement is shortened between words, and without its comments."""
    assert shortened("SELECT 1 -- one\n,   2 /* two */ FROM a_long_table", 18) == "SELECT 1 , 2 ..."


def test_margins_never_change_a_string() -> None:
    """Statements are moved to a new margin, but not if a string in them goes on over a line's end."""
    assert tidied("SELECT 1\n       FROM a\n         WHERE b") == "SELECT 1\n  FROM a\n    WHERE b"
    assert tidied("SELECT 'a\n   b'\n   FROM c") == "SELECT 'a\n   b'\n   FROM c"
    assert indented("SELECT 'a\nb'", "  ") == "SELECT 'a\nb'"


@pytest.mark.parametrize(
    ("sql", "ended"),
    [("SELECT 1", "SELECT 1;"), ("SELECT 1; ", "SELECT 1;"), ("SELECT 1 -- one", "SELECT 1 -- one\n;")],
)
def test_a_statement_ends_with_one_semicolon(sql: str, ended: str) -> None:
    """A semicolon is added where it counts, and only once."""
    assert terminated(sql) == ended
