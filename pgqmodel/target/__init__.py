"""A target is the queue under test: its promises, SQL and observations, from a target file or from Python."""

from __future__ import annotations

from pgqmodel.promises import Limit
from pgqmodel.target.commands import SCHEMA, Command
from pgqmodel.target.describe import describe
from pgqmodel.target.function import Function
from pgqmodel.target.leases import reads_locks
from pgqmodel.target.load import load, names, write_template
from pgqmodel.target.observe import plain, read_jobs, read_state, read_whole
from pgqmodel.target.program import Statements, compile_statement
from pgqmodel.target.target import AfterLost, Habits, Observation, Program, Reply, Script, Target, Unlocks

__all__ = [
    "SCHEMA",
    "AfterLost",
    "Command",
    "Function",
    "Habits",
    "Limit",
    "Observation",
    "Program",
    "Reply",
    "Script",
    "Statements",
    "Target",
    "Unlocks",
    "compile_statement",
    "describe",
    "load",
    "names",
    "plain",
    "read_jobs",
    "read_state",
    "read_whole",
    "reads_locks",
    "write_template",
]
