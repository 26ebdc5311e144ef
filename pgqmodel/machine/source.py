"""Where a machine's choices come from: a seed, and nothing else.

Hypothesis' own source also draws constants that it finds in the source files of the programs around it, unless they are
installed as packages: the same seed would choose other stories in a checkout than in an installed tool.
"""

from __future__ import annotations

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

__all__ = ["BACKEND", "SeededProvider"]

BACKEND = "pgqmodel"


class SeededProvider(HypothesisProvider):
    """Draws from the seed alone, each number of a range as often as any other.

    A backend in Hypothesis' terms, see "Alternative backends for Hypothesis" in its documentation.
    """

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,
    ) -> int:
        """A number of a range; what machines draw has two ends and no weights."""
        if min_value is None or max_value is None or weights is not None:
            return super().draw_integer(min_value, max_value, weights=weights, shrink_towards=shrink_towards)
        assert self._random is not None
        return self._random.randint(min_value, max_value)


AVAILABLE_PROVIDERS[BACKEND] = f"{SeededProvider.__module__}.{SeededProvider.__qualname__}"
