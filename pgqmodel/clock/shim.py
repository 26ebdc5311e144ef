"""The shim that gives a server its virtual time, as source and as bytes."""

from __future__ import annotations

from base64 import b85decode
from importlib.resources import files
from zlib import decompress

from pgqmodel.clock.shim_binary import SHIMS

__all__ = ["SHIMS", "source", "unpack"]


def source() -> str:
    """The shim's C source."""
    return (files("pgqmodel.clock") / "shim.c").read_text(encoding="utf-8")


def unpack(machine: str) -> bytes:
    """The shim for a machine type, as `platform.machine()` names it; KeyError if there is none."""
    return decompress(b85decode(SHIMS[machine]))
