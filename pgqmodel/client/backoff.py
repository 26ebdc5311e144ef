"""The waits before trying again: exponential, with full jitter, so that many clients do not come back at once."""

from __future__ import annotations

from random import Random

from attrs import define

__all__ = ["Backoff"]

DOUBLINGS_MAX = 30


@define(kw_only=True)
class Backoff:
    """Waits drawn evenly between 0 and a bound that doubles with each failure, up to `seconds_max`."""

    random: Random
    seconds_first: float = 0.05
    seconds_max: float = 2.0
    failures: int = 0

    def next_seconds(self) -> float:
        """The wait after one more failure."""
        bound = min(self.seconds_first * 2 ** min(self.failures, DOUBLINGS_MAX), self.seconds_max)
        self.failures += 1
        return self.random.uniform(0, bound)

    def reset(self) -> None:
        """Note a success: the next failure counts as the first."""
        self.failures = 0
