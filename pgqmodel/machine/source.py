"""The source of a machine's choices: a seed, and nothing else.

Hypothesis' own source also draws constants from the source files of the running program, unless that is installed as
a package. So the same seed would choose other stories in a checkout than in an installed tool.
"""

from __future__ import annotations

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

__all__ = ["BACKEND", "SeededProvider"]

BACKEND = "pgqmodel"


class SeededProvider(HypothesisProvider):
    """Draws from the seed alone, with the same chance for each number of a range.

    Hypothesis calls this a backend, see "Alternative backends for Hypothesis" in its documentation.
    """

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,
    ) -> int:
        """A number of a range. Machines always give both ends, and no weights."""
        if min_value is None or max_value is None or weights is not None:
            return super().draw_integer(min_value, max_value, weights=weights, shrink_towards=shrink_towards)
        assert self._random is not None
        return self._random.randint(min_value, max_value)


AVAILABLE_PROVIDERS[BACKEND] = f"{SeededProvider.__module__}.{SeededProvider.__qualname__}"
