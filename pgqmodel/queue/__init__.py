"""The old name of the reference queue, from before it was split into `reference`, `client` and `service`.

A target may still be called `pgqmodel.queue:reference`; our own code imports from the new packages.
"""

from __future__ import annotations

from pgqmodel.reference import baseline, reference

__all__ = ["baseline", "reference"]
