"""The reference queue, built as well as we can, and the baseline that it is compared with."""

from __future__ import annotations

from pgqmodel.queue.target import baseline, reference

__all__ = ["baseline", "reference"]
