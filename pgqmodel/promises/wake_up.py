"""`wake-up`: with an idle worker listening, a ready job starts without waiting for the next poll.

Only a load puts it to the test, because there the workers wait and poll by themselves. How late a claim came proves
nothing alone: the poll may have been near, or the machine slow. But a claim by a worker that had rested for a whole
poll is one that no notification began.
"""

from __future__ import annotations

from pgqmodel.model.facts import Fact, Yet
from pgqmodel.promises.delivery_reasons import IdleListening, WaitedInVain
from pgqmodel.promises.promise import Promise

__all__ = ["NEAR", "PROMISE", "is_telling", "missed"]

NEAR = 0.25
"""The part of a poll interval before a poll. A job from this time may be found by the poll in spite of its
notification, because a worker on a slow machine reads notifications late."""


def is_telling(delay: float | None, rested: float, poll_seconds: float) -> bool:
    """Whether a job put the promise to the test: not if it came only just before the poll that found it.

    The job was enqueued while workers rested and listened, and claimed after `delay` seconds, or never, by a worker
    that had rested for `rested` seconds.
    """
    return not (rested >= poll_seconds and delay is not None and delay < NEAR * poll_seconds)


def missed(job: str, channel: str, delay: float | None, rested: float, poll_seconds: float) -> tuple[Fact, ...]:
    """The facts that show that no notification woke a worker for a job; none if one did."""
    if delay is not None and rested < poll_seconds:
        return ()
    return IdleListening(job=job, channel=channel), Yet(WaitedInVain(waited=delay, rested=rested))


PROMISE: Promise = Promise(
    name="wake-up",
    says="with an idle worker listening, a ready job starts without waiting for the next poll",
    anomalies=("lost-wakeup",),
    checked=False,
    channel="wake_channel",
)
