"""`log-bounded`: an oversize line arrives whole another way, or cut on a character boundary and marked as cut.

Only a load puts it to the test: the lines that subscribers received are compared with the committed lines; see
`pgqmodel.promises.received`.
"""

from __future__ import annotations

from pgqmodel.operations import LOG
from pgqmodel.promises.promise import Promise

__all__ = ["PROMISE"]

PROMISE: Promise = Promise(
    name="log-bounded",
    says=(
        "a line that does not fit a notification's 8000 bytes arrives whole by another way, "
        "or cut on a character boundary and marked as cut"
    ),
    anomalies=("mangled-log",),
    operations=(LOG.name,),
    checked=False,
    channel="log_channel",
)
