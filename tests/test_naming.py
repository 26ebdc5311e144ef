"""Values that the server made by chance have names in a story, and nothing else has."""

from __future__ import annotations

import pytest

from pgqmodel.events import Advanced, Event, Invoked, Job, Observed, Ran
from pgqmodel.horizon import START_SECONDS
from pgqmodel.naming import Naming, differences, values_back
from pgqmodel.operations import State

KEY, TOKEN = "0c9f3a1e-7d42-4b6f-9a53-c1e2d3f4a5b6", "51b1e0aa90ff4c1d8ad1b7f2c3e4d5f6"


def ran(*parameters: object) -> Ran:
    """A statement with these parameters."""
    return Ran(step=2, client="A", call=1, sql="SELECT $1", parameters=parameters)


def shown(job: str, now: float = START_SECONDS, **columns: object) -> list[Event]:
    """A story in which a job is there with these columns of its order."""
    start = Advanced(step=0, seconds=0.0, now=float(now))
    return [start, Observed(step=1, jobs={job: Job(job=job, state=State.PENDING, order=columns)})]


DRAWN = {
    "a uuid": (TOKEN, "token 1"),
    "a uuid of a job": (KEY, "J1"),
    "a uuid of a job, as it is sent": (KEY.replace("-", ""), "J1"),
    "a uuid of a job, as earlier versions wrote it": ("\\x" + KEY.replace("-", ""), "J1"),
    "a uuid in a JSON text": (f'{{"of": "{KEY}"}}', '{"of": "J1"}'),
    "hexadecimal digits": ("9f86d081884c7d65", "token 1"),
    "bytes": ("\\x9f86d081884c7d65", "token 1"),
    "Base64": ("q83vEjRWeJCrze8SNFZ4kA==", "token 1"),
    "a long number": (7234098123409812340, "token 1"),
    "a fraction": (0.7345098123412, "token 1"),
    "a stamp": ("2030-01-01 00:00:31.000002+00", "stamp 1"),
    "values in an array": ((KEY, TOKEN), ("J1", "token 1")),
}


@pytest.mark.parametrize(("value", "name"), DRAWN.values(), ids=DRAWN)
def test_a_drawn_value_has_a_name(value: object, name: object) -> None:
    """Keys of jobs are called as the jobs are; tokens and stamps are numbered as they appear."""
    naming = Naming({"J1": KEY})
    (named,) = naming.history([ran(value)])
    assert isinstance(named, Ran)
    assert named.parameters == (name,)


PLAIN = ("A", "17", 17, 1.5, None, True, "boom", "k", "queue-of-mails", "2030", "prod", '{"n": 1}', "3f")


@pytest.mark.parametrize("value", PLAIN)
def test_a_plain_value_stays(value: object) -> None:
    """Words and small numbers read as they are, such as serial keys, fences that count and names of workers."""
    (named,) = Naming({"J1": "17"}).history([ran(value)])
    assert named == ran(value)


def test_what_a_client_gave_is_no_chance() -> None:
    """An argument keeps its value, however it looks."""
    naming = Naming({})
    given = Invoked(step=1, client="P", worker="P", call=1, operation="enqueue", arguments={"unique_key": TOKEN})
    assert naming.history([given, ran(TOKEN)])[1] == ran(TOKEN)
    assert not naming.values


def test_one_value_has_one_name_wherever_it_is() -> None:
    """A key is the job in a row, in a statement and in a sentence; the table lists the names as they appear."""
    naming = Naming({"J1": KEY})
    observed, used = naming.history([*shown("J1", id=KEY, token=TOKEN), ran(KEY, TOKEN, "2030-01-01 00:00:01+00")])[1:]
    assert isinstance(observed, Observed)
    assert observed.jobs["J1"] is not None
    assert observed.jobs["J1"].order == {"id": "J1", "token": "token 1"}
    assert used == ran("J1", "token 1", "stamp 1")
    assert naming.values == {"J1": KEY, "token 1": TOKEN, "stamp 1": "2030-01-01 00:00:01+00"}
    assert naming.text(f"J1 (pending, id {KEY}) has {TOKEN}") == "J1 (pending, id J1) has token 1"
    assert values_back("J1 token 1", naming.values) == f"{KEY} {TOKEN}"


def test_a_story_on_another_day_with_other_values_is_the_same() -> None:
    """Times count from the story's start, without the ticks of statements; a date that somebody wrote stays."""
    other = {"J1": "ffffffff-0000-4000-8000-123456789abc"}
    far = START_SECONDS + 8_000 * 366 * 86_400.0
    today = shown("J1", START_SECONDS, id=KEY, at=START_SECONDS + 30.000007, until=far)
    then = shown("J1", 1_764_000_000.123456, id=other["J1"], at=1_764_000_030.123456, until=far)
    assert not list(differences(Naming({"J1": KEY}).history(today), Naming(other).history(then)))
    later = shown("J1", 1_764_000_000.123456, id=other["J1"], at=1_764_000_031.123456, until=far)
    assert len(list(differences(Naming({"J1": KEY}).history(today), Naming(other).history(later)))) == 1


def test_a_moment_that_was_drawn_is_any_other_that_was() -> None:
    """A backoff with jitter ends at another time on every run; one that is a second longer is another backoff."""
    first, second, whole = (shown("J1", at=START_SECONDS + seconds) for seconds in (3.7345, 4.1872, 4.0))
    assert not list(differences(first, second))
    assert list(differences(second, whole))


def test_a_named_history_is_named_already() -> None:
    """To name a story twice changes nothing, so that traces of all versions can be compared."""
    named = Naming({"J1": KEY}).history([*shown("J1", id=KEY), ran(KEY, TOKEN)])
    assert Naming({}).history(named) == named
