"""`wake-up`: with an idle worker listening, a ready job starts without waiting for the next poll.

Only a load puts it to the test, because there the workers wait and poll by themselves.
"""

from __future__ import annotations

from pgqmodel.promises.promise import Promise

__all__ = ["PROMISE"]

PROMISE: Promise = Promise(
    name="wake-up",
    says="with an idle worker listening, a ready job starts without waiting for the next poll",
    anomalies=("lost-wakeup",),
    checked=False,
)
