"""Shrinking, tried on failures that are known exactly: no server is needed to see what is left of a schedule."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.explore.simplifying import choices, cost, shrink
from pgqmodel.steps import KINDS, Advance, Begin, Connect, Crash, Cut, Deadlock, Fate, Go, Restart, Step


def begin(client: str, operation: str, stop: int = 0, **arguments: object) -> Step:
    """A step that begins an operation."""
    return Begin(client=client, operation=operation, stop=stop, arguments=arguments)


ENQUEUE = begin("P", "enqueue", priority=2, run="r1")
NOISE = (begin("B", "heartbeat"), Advance(seconds=16.0), Crash(client="C"))


def kind_of(step: Step) -> tuple[str, str]:
    """What a step does, whoever takes it."""
    return step.action, step.operation if isinstance(step, Begin) else ""


def shrunk(schedule: Sequence[Step], needs: Sequence[Step]) -> tuple[Step, ...]:
    """What is left if a schedule fails exactly when it has the operations of `needs` in their order, by any worker."""

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        wanted = [kind_of(step) for step in needs]
        for step in candidate:
            if wanted and kind_of(step) == wanted[0]:
                wanted.pop(0)
        return None if wanted else tuple(candidate)

    return trio.run(shrink, tuple(schedule), attempt)


def test_noise_is_taken_out() -> None:
    """Only the steps that the failure needs are left, with the arguments it does not need taken away."""
    needs = (ENQUEUE, begin("C", "claim", stop=2), begin("C", "complete"))
    left = shrunk((*NOISE, needs[0], *NOISE, needs[1], *NOISE, needs[2]), needs)
    assert [kind_of(step) for step in left] == [("begin", name) for name in ("enqueue", "claim", "complete")]
    assert left[0] == begin("P", "enqueue")
    assert left[1].weight.stop == 0


def test_the_story_starts_with_a() -> None:
    """Workers are exchanged until the first letters of the alphabet tell the story."""
    needs = (begin("C", "claim"), begin("B", "complete"))
    assert {step.client for step in shrunk(needs, needs)} == {"A"}


def test_a_second_producer_goes_if_the_first_can_do_it() -> None:
    """P2 and M2 are named only where P and M are not enough: their part is given to the first of their role."""
    needs = (begin("P2", "enqueue"), begin("M2", "reclaim"), begin("P3", "cancel", job="J1"))
    assert [step.client for step in shrunk(needs, needs)] == ["P", "M", "P"]


def test_an_operation_goes_if_another_can_wait_for_what_is_halfway() -> None:
    """A heartbeat that holds the reclaim up is not needed once the reclaim begins in the middle of the complete."""
    long_way = (
        begin("A", "heartbeat", stop=2),
        begin("M", "reclaim"),
        Go(client="A"),
        begin("A", "complete"),
        Go(client="A"),
    )
    short_way = (begin("A", "complete", stop=2), begin("M", "reclaim"), Go(client="A"))

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if tuple(candidate) in (long_way, short_way) else None

    assert trio.run(shrink, long_way, attempt) == short_way


def test_another_one_goes_on_where_a_worker_had_to_be_freed() -> None:
    """A worker that settles only to claim again is not needed twice: another one claims."""
    twice = (begin("A", "claim"), begin("M", "reclaim"), begin("A", "complete"), begin("A", "claim"))
    once = (begin("A", "claim"), begin("M", "reclaim"), begin("B", "claim"))

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if tuple(candidate) in (twice, once) else None

    assert trio.run(shrink, twice, attempt) == once


def test_an_operation_goes_if_it_only_held_another_halfway() -> None:
    """What waited for it stops by itself where the wait had held it."""
    held = (begin("A", "claim", stop=3), begin("B", "claim"), Go(client="A"), begin("C", "claim"))
    halted = (begin("B", "claim", stop=2), begin("C", "claim"))

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if tuple(candidate) in (held, halted) else None

    assert trio.run(shrink, held, attempt) == halted


def test_an_operation_halfway_stands_in_for_a_fault() -> None:
    """A crash of the server is not needed to see what an enqueue left behind, if the enqueue waits at its commit."""
    restarted = (ENQUEUE, Restart(), begin("A", "claim"))
    halfway = (evolve(ENQUEUE, stop=2), begin("A", "claim"))

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if tuple(candidate) in (restarted, halfway) else None

    assert trio.run(shrink, restarted, attempt) == halfway


def test_a_heartbeat_stands_in_for_a_next_holder() -> None:
    """A list goes out of date if its job is claimed again, and also if its holder beats: that is a step less."""
    lapsed = (begin("A", "claim"), Advance(seconds=1.0), begin("M", "reclaim", stop=2))
    claimed = (*lapsed, begin("M2", "reclaim"), begin("B", "claim"), Go(client="M"))
    beaten = (*lapsed, begin("A", "heartbeat"), Go(client="M"))

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if tuple(candidate) in (claimed, beaten) else None

    assert trio.run(shrink, claimed, attempt) == beaten


def test_one_client_asks_twice_where_two_holders_asked() -> None:
    """A second holder is not needed to do a thing twice: the first repeats it, because its answer was lost."""
    claim, fail = begin("A", "claim"), begin("A", "fail")
    taken = (claim, Advance(seconds=1.0), begin("M", "reclaim"), begin("B", "claim"), begin("B", "fail"), fail)
    asked = (claim, begin("A", "fail", stop=1), Cut(client="A", fate=Fate.AFTER), Connect(client="A"), fail)

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if tuple(candidate) in (taken, asked) else None

    assert trio.run(shrink, taken, attempt) == asked


def test_parts_of_an_operation_become_one() -> None:
    """An operation that is begun up to its first gate, and led to its second, is begun up to its second."""
    parts = (begin("A", "complete", stop=1), Go(client="A", stop=1), begin("M", "reclaim"))
    whole = (begin("A", "complete", stop=2), begin("M", "reclaim"))

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if tuple(candidate) in (parts, whole) else None

    assert trio.run(shrink, parts, attempt) == whole


def test_a_deadlock_closes_where_it_can() -> None:
    """A third worker whose wait closed the circle is not needed if the first one goes on instead of being cut."""
    held, waits = begin("A", "claim", stop=2), begin("B", "claim")
    three = (
        held,
        waits,
        begin("C", "claim"),
        Cut(client="A"),
        Deadlock(client="C"),
    )
    two = (held, waits, Go(client="A"), Deadlock(client="A"))

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if tuple(candidate) in (three, two) else None

    assert trio.run(shrink, three, attempt) == two


def test_waits_become_one_that_can_be_read() -> None:
    """Waits up to just before a deadline and past it become one, of the fewest whole seconds that fail."""
    waits = tuple(Advance(seconds=seconds) for seconds in (29.999, 0.001, 0.001))

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if sum(step.weight.seconds for step in candidate) > 12 else None

    assert trio.run(shrink, waits, attempt) == (Advance(seconds=13.0),)


def test_faults_become_milder() -> None:
    """A lost answer becomes a lost request and a crash a cut, where the failure does not care."""
    crash = Crash(client="A", fate=Fate.AFTER)

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if any(step.client == "A" for step in candidate) else None

    (left,) = trio.run(shrink, (crash,), attempt)
    assert left == Cut(client="A", fate=Fate.BEFORE)


def test_an_answer_arrives_where_nobody_needs_it_lost() -> None:
    """What was carried out, and its answer lost, is carried out and answered, where that fails as well."""
    lost = Cut(client="A", fate=Fate.AFTER)
    answered = Go(client="A")

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if candidate[-1:] in ((lost,), (answered,)) else None

    assert trio.run(shrink, (lost,), attempt) == (answered,)


@given(st.lists(st.sampled_from([ENQUEUE, *NOISE, begin("A", "claim", stop=2)]), min_size=1, max_size=14))
def test_never_worse_and_always_failing(schedule: list[Step]) -> None:
    """Whatever fails: the result fails too, costs no more, and the same input gives the same result."""
    fails = [step for step in schedule if isinstance(step, Begin)] or schedule[:1]
    first = shrunk(schedule, fails[:2])
    assert cost(first) <= cost(schedule)
    assert choices(first) <= choices(schedule)
    assert first == shrunk(schedule, fails[:2])


def test_the_number_of_runs_is_bounded() -> None:
    """No more candidates are run than allowed, however much there is to try."""
    runs = 0

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        nonlocal runs
        runs += 1
        return None

    async def main() -> None:
        await shrink((ENQUEUE, *NOISE) * 5, attempt, attempts_max=7)

    trio.run(main)
    assert runs == 7


def test_no_fault_comes_in_that_was_switched_off() -> None:
    """Where crashes were not allowed no candidate has one, although a crash would tell a shorter story."""
    story = (begin("A", "claim"), begin("B", "claim"), begin("A", "complete"), begin("A", "claim"))
    tried: set[type[Step]] = set()

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        tried.update(type(step) for step in candidate)
        return tuple(candidate) if any(isinstance(step, Crash) for step in candidate) else None

    async def main(allowed: frozenset[type[Step]]) -> tuple[Step, ...]:
        return await shrink(story, attempt, allowed=allowed)

    assert trio.run(main, frozenset(KINDS.values()) - {Crash}) == story
    assert Crash not in tried
    assert len(trio.run(main, frozenset(KINDS.values()))) < len(story)


def test_a_fault_of_the_finding_stays_allowed() -> None:
    """What the finding itself has may stay in it, but no milder fault that was switched off takes its place."""
    crash = Crash(client="A")

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if candidate else None

    async def main() -> tuple[Step, ...]:
        return await shrink((crash,), attempt, allowed=frozenset())

    assert trio.run(main) == (crash,)
