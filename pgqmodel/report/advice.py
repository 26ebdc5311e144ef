"""What a file could declare beside what it does, and which of that was seen broken: words for the end of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pgqmodel.phrases import counted

__all__ = ["advise"]


def advise(could_declare: Sequence[str], would_break: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines, where there is anything to say; `would_break` are promises with their anomaly, operation and steps."""
    broken = {each["promise"] for each in would_break}
    kept = [name for name in could_declare if name not in broken]
    if kept:
        yield f"You could also declare: {', '.join(kept)}."
    for each in would_break:
        by = f" by {each['operation']}" if each["operation"] else ""
        size = counted(each["steps"], "step")
        yield f"not declared, and would break: {each['promise']} ({size}), {each['anomaly']}{by}"
