"""A trace as report.md: the bug report, for somebody who never heard of pgqmodel."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from pgqmodel.history import Invoked, Ran
from pgqmodel.phrases import counted, often
from pgqmodel.promises import PROMISES
from pgqmodel.report.sql import literal, tidied
from pgqmodel.report.story import HELD, LOST, WAITS, Row, Story, span, tell
from pgqmodel.trace import Trace

__all__ = ["render"]

_TERMS = (
    (HELD, "the statement has run and its transaction is still open: its locks are held, nobody sees its changes."),
    ("transaction open", "the client is between two statements of one transaction."),
    (WAITS, "Postgres itself says so (`pg_blocking_pids`): the other client holds a lock that this one needs."),
    (LOST, "Postgres ran and committed the statement; the connection broke before the client heard of it."),
    ("request lost", "the connection broke before Postgres saw the statement."),
    ("crashes", "the client's process dies and forgets what it knew; its session ends."),
    ("connection cut", "the session ends on the server; the client lives on and believes what it believed before."),
)
_ROLES = {"P": "enqueues and cancels", "M": "takes jobs back from silent workers"}


def render(trace: Trace, *, path: str, spec: bool) -> str:
    """The report. `path` is where the trace lies; `spec` says whether a repro.spec lies beside it."""
    story = tell(trace)
    sections = [
        f"# {trace.anomaly} in {trace.name}",
        f"`{trace.name}` breaks its promise `{trace.promise}`: {PROMISES[trace.promise].says}.",
        "## What happened",
        _opening(trace, story),
        _table(story),
        _terms(story),
        "## Why it is wrong",
        "\n".join(trace.explanation),
        "## The statements",
        *_statements(trace),
        *_schema(trace),
        "## See it again",
        *_again(trace, path, spec=spec),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _opening(trace: Trace, story: Story) -> str:
    workers = [client for client in story.clients if client not in _ROLES]
    roles = [f"{client} {does}" for client, does in _ROLES.items() if client in story.clients]
    roles += [f"{', '.join(workers)}: the workers"] if workers else []
    return (
        f"pgqmodel let these clients talk to a real Postgres {trace.postgres} and decided whose turn it was; this is "
        f"the shortest story it found that goes wrong. One row a step, one column a client ({'; '.join(roles)}). J1, "
        "J2, ... are the jobs in order of appearance."
    )


def _table(story: Story) -> str:
    header = ["step", *(["time"] if story.time_moves else []), *story.clients, "the database afterwards"]
    lines = [header, ["---:", *["---"] * (len(header) - 1)], *(_row(row, story) for row in story.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(row: Row, story: Story) -> list[str]:
    time = [f"{row.clock:g} s"] if story.time_moves else []
    cells = [*(row.cells.get(client, ()) for client in story.clients), row.shows]
    return [span(row), *time, *("<br>".join(cell).replace("|", "\\|") for cell in cells)]


def _terms(story: Story) -> str:
    return "\n".join(f"- *{term}*: {meaning}" for term, meaning in _TERMS if story.says(term))


def _statements(trace: Trace) -> Iterable[str]:
    """Each operation's statements in full, with the parameters and the answer of every time one ran."""
    calls = {event.call: event for event in trace.history if isinstance(event, Invoked)}
    runs: dict[str, dict[str, list[Ran]]] = {}
    for event in trace.history:
        if isinstance(event, Ran):
            runs.setdefault(calls[event.call].operation, {}).setdefault(event.sql, []).append(event)
    for operation, by_sql in runs.items():
        for number, (sql, events) in enumerate(by_sql.items(), 1):
            which = f", statement {number}" if len(by_sql) > 1 else ""
            yield f"**{operation}**{which}\n\n```sql\n{tidied(sql)}\n```\n\n{_runs(events)}"


def _schema(trace: Trace) -> Iterable[str]:
    """What the database was set up with, folded away."""
    for label, sql in trace.schema.setup:
        yield f"<details><summary>The set-up: {label}</summary>\n\n```sql\n{sql.strip()}\n```\n\n</details>"


def _runs(events: Sequence[Ran], shown_max: int = 8) -> str:
    lines = [f"- step {event.step}, {event.client}: {_parameters(event)}{_answer(event)}" for event in events]
    left_out = [f"- and {often(len(lines) - shown_max)} more"] if len(lines) > shown_max else []
    return "\n".join(lines[:shown_max] + left_out)


def _parameters(event: Ran) -> str:
    given = ", ".join(f"${number} = {literal(value)}" for number, value in enumerate(event.parameters, 1))
    return f"`{given}`, answer " if given else "answer "


def _answer(event: Ran) -> str:
    return f"error `{event.error}`" if event.error else f"`{event.tag}`"


def _again(trace: Trace, path: str, *, spec: bool) -> Iterable[str]:
    yield f"```console\n$ pgqmodel replay {shlex.quote(path)}\n```"
    yield (
        "takes the same steps again on a real Postgres, on the queue as it is now: exit code 1 while it still goes "
        "wrong, 0 once it is mended."
    )
    if spec:
        beside = shlex.quote(str(PurePath(path).with_name("repro.spec")))
        yield "Postgres' own isolation tester shows the same without pgqmodel, in an empty database:"
        yield f'```console\n$ createdb scratch\n$ isolationtester "dbname=scratch" < {beside}\n```'
    yield (
        f"Found by pgqmodel {trace.version} in `{trace.target}` on Postgres {trace.postgres}, seed {trace.seed}, "
        f"and shrunk to {counted(trace.shrunk_steps, 'step')} beyond the enqueues."
    )
