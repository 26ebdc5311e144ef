"""Servers, their databases, their clocks, and connections to them: all effects behind the gate."""

from __future__ import annotations

from pgqmodel.errors import UsageError
from pgqmodel.server.binaries import installation
from pgqmodel.server.cluster import Cluster
from pgqmodel.server.connection import LOST, SideConnection, TrioConnection
from pgqmodel.server.database import Database
from pgqmodel.server.external import External, named

__all__ = [
    "LOST",
    "Cluster",
    "Database",
    "External",
    "Server",
    "SideConnection",
    "TrioConnection",
    "installation",
    "named",
    "open_server",
]

Server = Cluster | External


def open_server(which: str) -> Server:
    """The server that `--pg` names: an embedded one by its major version, or a running one by URL."""
    if "://" in which or "=" in which:
        return External(which)
    if which.isdecimal():
        return Cluster(int(which))
    message = f"--pg got {which!r}; expected 18, 16, or a URL such as postgresql://user@host/db. Give one of these"
    raise UsageError(message)
