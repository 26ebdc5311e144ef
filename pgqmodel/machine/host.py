"""What a machine needs of whoever runs it; `explore` is one."""

from __future__ import annotations

from typing import Protocol

from pgqmodel.machine.run import AnomalyFound, Run

__all__ = ["Host"]


class Host(Protocol):
    """What a machine needs of whoever runs it."""

    def start(self) -> Run:
        """A run in a world that was just reset."""

    def finish(self, run: Run) -> None:
        """Take note of a run that came to its end."""

    def found(self, anomaly: AnomalyFound) -> BaseException:
        """What an anomaly is raised as."""

    def failed(self, error: Exception) -> BaseException:
        """What any other error is raised as: no failing example of Hypothesis', which would run it again."""
