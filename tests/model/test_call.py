"""A call is a small record: what one promise alone must remember of it lies in its facts."""

from __future__ import annotations

from attrs import fields

from pgqmodel.model import Call

FIELDS_MAX = 20


def test_a_call_has_few_fields() -> None:
    """A promise keeps its facts in `facts`, so that a new one does not widen the record."""
    assert len(fields(Call)) <= FIELDS_MAX
