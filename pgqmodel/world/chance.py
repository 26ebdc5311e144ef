"""What `random()` draws in a session: its sequence begins where the story's seed and the session's name say.

Everything else that is random comes from the shim (`pgqmodel.clock`), draw by draw. The sequence of `random()` goes on
in its session, which is kept from story to story; it is set, which is much cheaper than a new session, and which other
servers take as well.
"""

from __future__ import annotations

import hashlib

__all__ = ["sowing"]


def sowing(seed: int, name: str, life: int) -> str:
    """The statement for a session: that of a client in its n-th life in this story, whose numbers are all different."""
    digest = hashlib.sha256(f"{seed}/{name}/{life}".encode()).digest()
    return f"SET seed = {int.from_bytes(digest[:4], 'big') / 2**32:.12f}"
