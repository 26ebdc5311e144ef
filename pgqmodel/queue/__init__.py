"""The reference queue under the name that it had before `reference`, `client` and `service` were three things.

A target may still be called `pgqmodel.queue:reference`; code of ours imports from those packages.
"""

from __future__ import annotations

from pgqmodel.reference import baseline, reference

__all__ = ["baseline", "reference"]
