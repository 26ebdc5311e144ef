"""What a statement reads beside the rows, found in its words and in those of what it names."""

from __future__ import annotations

import pytest

from pgqmodel.target.sources import chance_in, clock_in

SETUP = [
    "CREATE FUNCTION app.take(n int) RETURNS int AS $$ SELECT random() * date_part('epoch', now()) $$ LANGUAGE sql;",
    "CREATE VIEW app.shown AS SELECT app.take(1) AS taken;",
    "CREATE VIEW plain AS SELECT 1 AS one; CREATE TABLE q (at timestamptz DEFAULT now());",
]


@pytest.mark.parametrize(
    ("sql", "clock", "chance"),
    [
        ("UPDATE q SET at = now()", ("now()",), ()),
        ("UPDATE q SET at = CURRENT_TIMESTAMP + random() * '1 s'", ("current_timestamp",), ("random()",)),
        ("INSERT INTO q (id) VALUES (uuidv7())", ("uuidv7()",), ("uuidv7()",)),
        ("SELECT 'now()' -- random()", (), ()),
        ("SELECT app.take(1)", ("now()",), ("random()",)),
        ("SELECT taken FROM app.shown", ("now()",), ("random()",)),
        ("SELECT one FROM plain", (), ()),
        ("SELECT known FROM q", (), ()),
    ],
)
def test_the_words_for_time_and_chance_are_found(sql: str, clock: tuple[str, ...], chance: tuple[str, ...]) -> None:
    """Functions count, also through functions and views of the set-up; texts, comments and parts of words do not."""
    assert clock_in(sql, SETUP) == clock
    assert chance_in(sql, SETUP) == chance
