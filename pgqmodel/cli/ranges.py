"""Numbers as options: click's own range accepts `nan` as a number within it."""

from __future__ import annotations

import math
from typing import Any

import click

__all__ = ["Range"]


class Range(click.FloatRange):
    """A finite number within bounds; `nan` and `inf` are usage errors."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error for anything else."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r}; expected a number, {self._describe_range()}", param, ctx)
        return number
