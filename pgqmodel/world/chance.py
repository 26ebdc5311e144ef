"""The sequence of `random()` in a session: the story's seed and the session's name decide where it begins.

Every other random value comes from the shim (`pgqmodel.clock`), draw by draw. The sequence of `random()` lives in its
session, and sessions are kept from story to story. So the sequence is set anew for each story. That is much cheaper
than a new session, and it works on a server without the shim as well.
"""

from __future__ import annotations

import hashlib

__all__ = ["sowing"]


def sowing(seed: int, name: str, life: int) -> str:
    """The statement that sets the sequence, for a client in its n-th life in this story; each life has another one."""
    digest = hashlib.sha256(f"{seed}/{name}/{life}".encode()).digest()
    return f"SET seed = {int.from_bytes(digest[:4], 'big') / 2**32:.12f}"
