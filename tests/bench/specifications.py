"""The two specifications that pgqmodel and the stock isolationtester both run: one without lock waits, one with."""

from __future__ import annotations

import itertools

from attrs import frozen

SETUP = (
    "CREATE TABLE jobs (id int PRIMARY KEY, state text, locked_by text); INSERT INTO jobs VALUES (1, 'pending', NULL)"
)
TEARDOWN = "DROP TABLE jobs"


@frozen(kw_only=True)
class Specification:
    """Two sessions, the statements of each, and the orders in which to run them (a letter a statement)."""

    name: str
    session_setup: str
    statements: tuple[str, ...]
    orders: tuple[str, ...]

    def text(self) -> str:
        """The specification in the isolationtester's own language."""
        sessions = [self._connection(name) for name in "AB"]
        orders = ["permutation " + " ".join(self._steps(order)) for order in self.orders]
        return "\n".join([f"setup {{ {SETUP} }}", f"teardown {{ {TEARDOWN} }}", *sessions, *orders, ""])

    def _session(self, name: str) -> str:
        setup = f"setup {{ {self.session_setup} }}\n" if self.session_setup else ""
        steps = [f"step {name.lower()}{n} {{ {sql.format(name=name)} }}" for n, sql in enumerate(self.statements, 1)]
        return f"session {name.lower()}\n{setup}" + "\n".join(steps)

    def _steps(self, order: str) -> list[str]:
        counts = dict.fromkeys("AB", 0)
        steps = []
        for letter in order:
            counts[letter] += 1
            steps.append(f"{letter.lower()}{counts[letter]}")
        return steps


def _orders(statements: int) -> tuple[str, ...]:
    """Every order of two sessions' statements."""
    positions = itertools.combinations(range(2 * statements), statements)
    return tuple("".join("A" if at in chosen else "B" for at in range(2 * statements)) for chosen in positions)


WITHOUT_WAITS = Specification(
    name="without lock waits",
    session_setup="",
    statements=(
        "SELECT * FROM jobs WHERE state = 'pending'",
        "UPDATE jobs SET locked_by = '{name}' WHERE id = 1",
        "UPDATE jobs SET state = 'running' WHERE id = 1",
    ),
    orders=_orders(3) * 10,
)
WITH_WAITS = Specification(
    name="with a lock wait in each order",
    session_setup="BEGIN",
    statements=(
        "SELECT * FROM jobs WHERE id = 1 FOR UPDATE",
        "UPDATE jobs SET locked_by = '{name}' WHERE id = 1",
        "COMMIT",
    ),
    orders=("ABAABB", "BABBAA", "AABABB", "BBABAA") * 50,
)
