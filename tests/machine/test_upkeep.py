"""Rules for maintenance of a target's own and for added jobs: only where a target has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.machine.registered import machines, machines_for
from pgqmodel.machine.upkeep import Upkeep
from pgqmodel.target import load, write_template
from world.stories import BUGS

WITH = {
    "maintenance of its own": "duplicate-key--tick-doubled",
    "a settlement that is said to add jobs": "duplicate-key--dead-letter-doubled",
    "a settlement that inserts where an enqueue does": "duplicate-key--follow-up-unseen",
}


@pytest.mark.parametrize("name", WITH.values(), ids=WITH)
def test_a_target_with_more_is_tried_with_more(name: str) -> None:
    """Each machine has the further rules, under its own name and with the target's operations."""
    target = load(str(BUGS / f"{name}.toml"))
    found = machines_for(target)

    assert all(issubclass(machine, Upkeep) and machine.operations.issuperset(target.maintenance) for machine in found)
    assert {machine.__name__ for machine in found} <= {machine.__name__ for machine in machines().values()}


@pytest.mark.parametrize("name", ["stuck-job--queue-row-gone", "lost-job--moved-in-two-steps"])
def test_any_other_target_tells_the_stories_that_it_told(name: str, tmp_path: Path) -> None:
    """A machine is the very same class as before, also where a reclaim or a log inserts rows."""
    for target in (load(str(BUGS / f"{name}.toml")), load(str(write_template(tmp_path)[1]))):
        assert set(machines_for(target)) <= set(machines().values())


def test_an_insertion_is_found_without_being_declared(tmp_path: Path) -> None:
    """What is tried does not depend on `adds`: an owner need not know which statement adds a job."""
    text = (BUGS / "duplicate-key--follow-up-unseen.toml").read_text(encoding="utf-8")
    path = tmp_path / "jobs.toml"
    path.write_text(text.replace("[operations.complete.adds]\njobs = true\n", ""), encoding="utf-8")
    (tmp_path / "jobs.sql").write_text((BUGS / "jobs.sql").read_text(encoding="utf-8"), encoding="utf-8")

    assert all(issubclass(machine, Upkeep) for machine in machines_for(load(str(path))))
