"""Time in a world of programs: it moves from deadline to deadline, and each program does what it had planned for it.

A program's thread is woken a millisecond after its deadline, at the next whole one: code that asks whether the moment
is past would else ask for ever, because our clock stands still (research/foreign-workers.md). Threads that are due at
one moment are woken one by one, in the order of their deadlines.

Most deadlines mean nothing: psycopg looks up ten times a second while it waits for an answer. So the gate settles only
if a program has sent something, and a thread that sends nothing when it is woken is woken later and later after its
deadlines, by a second at most. A busy machine does the same to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqmodel.clock import after

if TYPE_CHECKING:
    from pgqmodel.world.actors import Alarm, Troupe
    from pgqmodel.world.world import World

__all__ = ["has_timer", "pass_time", "wait_for_timers"]

HOPS_MAX = 4_000
"""The most deadlines on the way of one step, so that a program that sleeps for a millisecond does not hang a story."""
WAIT_SECONDS_MAX = 600.0
"""The longest time that passes until a program does something."""


def has_timer(world: World) -> bool:
    """Whether some program waits for a moment."""
    return world.troupe is not None and world.troupe.next_alarm() is not None


async def wait_for_timers(world: World) -> float:
    """Let time pass until a program does something at the gate; the seconds that have passed."""
    clock = world.database.clock
    begin = clock.now_us
    await pass_time(world, WAIT_SECONDS_MAX, at_first=True)
    return (clock.now_us - begin) / 1e6


async def pass_time(world: World, seconds: float, *, at_first: bool = False) -> None:
    """Move the clock; the programs act at each of their deadlines on the way. Without programs it moves at once.

    `at_first`: only until a program has done something at the gate, if one does.
    """
    clock = world.database.clock
    end = clock.now_us + round(seconds * 1e6)
    for _ in range(HOPS_MAX if world.troupe is not None else 0):
        assert world.troupe is not None, "there are programs"
        alarm = world.troupe.next_alarm()
        if alarm is None or after(alarm.us) > end:
            break
        if alarm.us >= world.server_us:
            _move(world, after(alarm.us))
        if await _wake(world, world.troupe, alarm) and at_first:
            return
    if not at_first:
        _move(world, end)


def _move(world: World, moment_us: int) -> None:
    world.move_clock((moment_us - world.database.clock.now_us) / 1e6)


async def _wake(world: World, troupe: Troupe, alarm: Alarm) -> bool:
    """Wake a thread; whether a program has sent something."""
    troupe.wake(alarm)
    await troupe.rest()
    stirred = world.gate.is_stirred()
    thread = alarm.deadline.thread
    alarm.actor.idle[thread] = 0 if stirred else alarm.actor.idle.get(thread, 0) + 1
    if stirred:
        await world.gate.settle()
    return stirred
