"""The reference queue's SQL, which people copy, and the baseline that it is compared with. README.md is the way in."""

from __future__ import annotations

from pgqmodel.reference.declaration import baseline, reference

__all__ = ["baseline", "reference"]
