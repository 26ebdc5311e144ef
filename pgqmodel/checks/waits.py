"""Waits-for graphs: the clients in a deadlock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx as nx

__all__ = ["waiting_in_cycles"]


def waiting_in_cycles(waits: Mapping[str, Iterable[str]]) -> set[str]:
    """The names in a cycle: each waits, directly or through others, for a holder that waits for it."""
    if not waits:
        return set()
    graph = nx.DiGraph((waiter, holder) for waiter, holders in waits.items() for holder in holders)
    components = nx.strongly_connected_components(graph)
    return {name for component in components if len(component) > 1 for name in component} | set(
        nx.nodes_with_selfloops(graph)
    )
