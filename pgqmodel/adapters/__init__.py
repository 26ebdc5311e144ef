"""Adapters: queue libraries that can be checked by name, `procrastinate==3.2.2`, at any version that pip can install.

For each library there are two files here: a target file, which names what the library promises in its documentation,
and a worker script, which uses its public API. An adapter is loaded when it is named, and not before.
"""

from __future__ import annotations

from pgqmodel.adapters.named import Adapted, adapt, libraries

__all__ = ["Adapted", "adapt", "libraries"]
