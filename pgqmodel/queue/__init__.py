"""The names that the documents gave before `reference`, `client` and `service` were three things; nothing else.

Code of ours imports from those packages.
"""

from __future__ import annotations

from pgqmodel.reference import baseline, reference

__all__ = ["baseline", "reference"]
