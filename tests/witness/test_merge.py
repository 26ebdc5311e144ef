"""What the merge promises: one history in which every order that is known still holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from pgqmodel.errors import NoVerdictError
from pgqmodel.history import Committed, Draining, Event, Invoked, Job, Observed, Returned
from pgqmodel.operations import State, Status
from pgqmodel.witness.merge import SLACK_SECONDS, Commit, merge

EPOCH = 1 << 32


def invoked(client: str, call: int, at: float, operation: str = "enqueue", **rest: Any) -> Invoked:
    """An invocation."""
    return Invoked(step=0, at=at, client=client, worker=client, call=call, operation=operation, **rest)


def returned(client: str, call: int, at: float, status: Status = Status.OK, **rest: Any) -> Returned:
    """An answer."""
    return Returned(step=0, at=at, client=client, call=call, status=status, **rest)


def commit(xid: int | None, at: float, name: str = "") -> Commit:
    """A commit that shows one job, named by its transaction unless said otherwise."""
    return Commit(xid=xid, at=at, jobs={name or str(xid): Job(job=name or str(xid), state=State.PENDING)})


@define
class Truth:
    """What really happened: clients' files, the log, and whose each commit was."""

    files: dict[str, list[Event]] = field(factory=lambda: defaultdict(list))
    log: list[Commit] = field(factory=list)
    owners: dict[str, tuple[str, int] | None] = field(factory=dict)


@define
class Client:
    """A client while a truth is drawn."""

    name: str
    call: int = 0
    began: float = 0.0
    xid: int | None = None
    busy: bool = False
    lost: bool = False


@st.composite
def truths(draw: st.DrawFn, *, steps_back: bool = False) -> Truth:
    """A true order of invocations, commits and answers of several clients; read-only and lost ones among them."""
    truth = Truth()
    late: list[float] = []
    now, offset = 1000.0, 0.0
    clients = [Client(f"c{number}") for number in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from((0.0, 0.0001, 0.003, 0.7)))
        if steps_back:
            offset = draw(st.sampled_from((offset, 0.0, -SLACK_SECONDS / 4)))
        stamp = now + offset
        if draw(st.booleans()) and late:
            began, xid = late.pop(), len(truth.log) + 1
            truth.log.append(commit(xid, draw(st.sampled_from((began, stamp)))))
            truth.owners[str(xid)] = None
            continue
        client = draw(st.sampled_from(clients))
        if not client.busy:
            client.call, client.began, client.xid, client.busy = client.call + 1, stamp, None, True
            truth.files[client.name].append(invoked(client.name, client.call, stamp))
        elif client.xid is None and draw(st.booleans()):
            client.xid = EPOCH + len(truth.log) + 1
            truth.log.append(commit(client.xid % EPOCH, draw(st.sampled_from((client.began, stamp)))))
            truth.owners[str(client.xid % EPOCH)] = (client.name, client.call)
        elif client.xid is None and draw(st.booleans()):
            truth.files[client.name].append(returned(client.name, client.call, stamp, Status.UNKNOWN))
            late.append(client.began)
            client.busy = False
        else:
            status = Status.OK if client.xid else Status.REFUSED
            answer = returned(client.name, client.call, stamp, status, transaction=client.xid)
            truth.files[client.name].append(answer)
            client.busy = False
    for client in clients:
        if client.busy and client.xid is not None:
            truth.owners[str(client.xid % EPOCH)] = None  # killed before the answer: nobody claims it
    return truth


def client_events(history: list[Event]) -> Iterator[Event]:
    """The events that came from clients."""
    yield from (event for event in history if isinstance(event, Invoked | Returned))


def check(truth: Truth, history: list[Event]) -> dict[int, tuple[str, int]]:
    """Every client's order, the log's order, and every commit within its call; calls by their new numbers."""
    assert [event.step for event in history] == list(range(1, len(history) + 1))
    names: dict[int, tuple[str, int]] = {}
    files: dict[str, list[Event]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    state: dict[int, str] = {}
    for event in history:
        if isinstance(event, Invoked):
            counts[event.client] += 1
            names[event.call] = (event.client, counts[event.client])
            state[event.call] = "invoked"
        elif isinstance(event, Committed):
            assert state[event.call] == "invoked"
            state[event.call] = "committed"
        elif isinstance(event, Returned):
            assert state[event.call] == ("committed" if event.transaction is not None else "invoked")
            state[event.call] = "returned"
        if isinstance(event, Invoked | Returned):
            files[event.client].append(evolve(event, step=0, call=names[event.call][1]))
    assert files == {
        client: [
            evolve(event, at=at)
            for event, at in zip(told, accumulate((one.at or 0.0 for one in told), max), strict=True)
        ]
        for client, told in truth.files.items()
    }
    observed = [event for event in history if isinstance(event, Observed)]
    assert [list(event.jobs) for event in observed] == [list(entry.jobs) for entry in truth.log]
    assert [event.at for event in observed] == [entry.at for entry in truth.log]
    for event in observed:
        (job,) = event.jobs
        owner = truth.owners[job]
        assert [names[call] for call in event.by] == ([] if owner is None else [owner])
    return names


@given(truths())
@settings(max_examples=150, deadline=None)
def test_every_order_that_is_known_holds(truth: Truth) -> None:
    """Clients' order, real time, the log's order, and commits within their calls; each is its own call's."""
    history = list(merge(truth.files.values(), truth.log))
    check(truth, history)
    times = [event.at for event in client_events(history)]
    assert times == sorted(times)  # type: ignore[type-var]


@given(truths(steps_back=True))
@settings(max_examples=150, deadline=None)
def test_a_clock_that_steps_back_a_little_changes_nothing(truth: Truth) -> None:
    """With every clock off by less than the slack, clients' order, the log's and commits within calls still hold."""
    check(truth, list(merge(truth.files.values(), truth.log)))


def test_numbers_are_global_and_claims_follow() -> None:
    """Calls of two files that bear the same number get different ones, and `claim` names the claim's new one."""
    files = [
        [
            invoked(client, 1, at, "claim"),
            returned(client, 1, at + 0.1, job="7", row={"job": "7"}),
            invoked(client, 2, at + 0.2, "complete", job="7", claim=1),
            returned(client, 2, at + 0.3),
        ]
        for client, at in (("a", 1.0), ("b", 1.05))
    ]
    calls = [event for event in merge(files, []) if isinstance(event, Invoked)]
    assert [(event.call, event.claim) for event in calls] == [(1, None), (2, None), (3, 1), (4, 2)]


def test_what_was_there_before_comes_first_and_the_rest_of_the_log_last() -> None:
    """A commit without a number opens the history; one after the last client's event ends it."""
    files: list[list[Event]] = [
        [invoked("a", 1, 2.0), returned("a", 1, 2.1, transaction=5)],
        [Draining(step=0, at=9.0)],
    ]
    history = list(merge(files, [commit(None, 1.0, "old"), commit(5, 2.05), commit(6, 3.0), commit(7, 9.5)]))
    assert [event.kind for event in history] == [
        *("observed", "invoked", "committed", "observed", "returned", "observed", "draining", "observed")
    ]


def test_one_transaction_of_several_calls_is_all_of_theirs() -> None:
    """Calls that share a transaction commit together."""
    files = [[invoked("a", 1, 1.0), invoked("a", 2, 1.1), returned("a", 1, 1.3, transaction=5)]]
    files[0].append(returned("a", 2, 1.4, transaction=5))
    history = list(merge(files, [commit(5, 1.2)]))
    assert [event.kind for event in history] == [
        *("invoked", "invoked", "committed", "committed", "observed", "returned", "returned")
    ]
    assert isinstance(history[4], Observed)
    assert history[4].by == (1, 2)


def test_an_accepted_change_that_the_log_lacks_is_no_verdict() -> None:
    """An acknowledged enqueue without a commit is said by name, whatever else is in the log."""
    files = [[invoked("a", 1, 1.0), returned("a", 1, 1.1, transaction=5)]]
    with pytest.raises(NoVerdictError, match=r"call 1 of a \(enqueue.*transaction 5 was accepted.*not in the write"):
        list(merge(files, [commit(4, 0.9)]))


@pytest.mark.parametrize(("operation", "status"), [("lock", Status.OK), ("enqueue", Status.REFUSED)])
def test_a_transaction_that_changed_no_row_needs_no_commit(operation: str, status: Status) -> None:
    """Refused calls, and operations that need not change a row, may have a transaction that the log does not show."""
    files = [[invoked("a", 1, 1.0, operation), returned("a", 1, 1.1, status, transaction=5)]]
    assert [event.kind for event in merge(files, [])] == ["invoked", "returned"]


@pytest.mark.parametrize("operation", ["lock", "enqueue"])
def test_a_commit_after_its_answer_is_no_verdict(operation: str) -> None:
    """Where the server's clock is far ahead of the clients', that is said, for calls that may have no commit too."""
    files = [[invoked("a", 1, 1.0, operation), returned("a", 1, 1.1, transaction=5)]]
    with pytest.raises(NoVerdictError, match=r"call 1 of a .* was answered at 1\.1.*, but committed at 9\.0.*Clocks"):
        list(merge(files, [commit(4, 8.0), commit(5, 9.0)]))


def test_a_lost_answer_does_not_bound_its_commit() -> None:
    """A client that gave up knows no more: its transaction may commit later, and is still its call's."""
    files = [[invoked("a", 1, 1.0), returned("a", 1, 1.1, Status.UNKNOWN, transaction=5)]]
    assert [event.kind for event in merge(files, [commit(5, 9.0)])] == ["invoked", "returned", "committed", "observed"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "committed before call 1 of b"), (5.0, "after that had committed, and call 1 of b .* was answered")],
)
def test_a_commit_of_a_call_that_began_later_is_no_verdict(seconds: float, words: str) -> None:
    """Where the log says A before B and the clock says that B was answered long before A began, both are named."""
    files = [
        [invoked("b", 1, 1.0), returned("b", 1, 2.0, transaction=6)],
        [invoked("a", 1, 2.0 + seconds), returned("a", 1, 8.0, transaction=5)],
    ]
    with pytest.raises(NoVerdictError, match=rf"call 1 of a .*{words}"):
        list(merge(files, [commit(5, 2.04), commit(6, 1.95)]))


@pytest.mark.parametrize("commits", [[commit(5, 1.0)], [commit(5, 1.0), commit(6, 1.1)]])
def test_a_call_that_began_after_its_commit_is_no_verdict(commits: list[Commit]) -> None:
    """A transaction cannot be older than the call that ran it."""
    files = [[invoked("a", 1, 5.0), returned("a", 1, 6.0, transaction=5)]]
    with pytest.raises(NoVerdictError, match="invoked only after that had committed"):
        list(merge(files, commits))


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([returned("a", 1, 1.0)], "did not invoke"),
        ([invoked("a", 1, 1.0, "complete", claim=9)], "is no claim before it"),
        ([evolve(invoked("a", 1, 1.0), at=None)], "without `at`"),
    ],
)
def test_a_file_that_is_damaged_is_no_verdict(events: list[Event], words: str) -> None:
    """What no client can have written is found, and said."""
    with pytest.raises(NoVerdictError, match=words):
        list(merge([events], []))


def test_only_a_window_is_read_ahead() -> None:
    """The merge does not read a long record into memory before it says anything."""
    read = 0

    def long_file() -> Iterator[Event]:
        nonlocal read
        for call in range(100_000):
            read += 1
            yield invoked("a", call, 1.0 + call)
            yield returned("a", call, 1.5 + call)

    history = merge([long_file()], [])
    for _ in range(10):
        next(history)
    assert read < 20
