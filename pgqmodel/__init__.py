"""pgqmodel finds, shrinks and replays concurrency bugs in job queues that live in Postgres.

The layers, from the bottom: words (``operations``, ``errors``), pure logic (``history``, ``steps``, ``model``,
``promises``, ``judge``), effects and checks (``server``, ``clock``, ``target``, ``reference``, ``client``, ``wire``,
``witness``, ``checks``), the ``world``, the ``report`` and the ``service``, then ``explore``, ``machine`` and
``simulation``, and on top the command line. Imports go downward only; tests/test_layers.py has the exact list.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
