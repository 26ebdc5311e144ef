"""Applications for the tests: target files of functions, written with the module that has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["MODULE", "SETUP", "application"]

SETUP = """
CREATE TABLE j (id integer PRIMARY KEY, st text NOT NULL DEFAULT 'q', tries integer NOT NULL DEFAULT 0);
CREATE SEQUENCE again;
CREATE FUNCTION late() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'lease lost'; END $$;
CREATE FUNCTION twice() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('again') % 2 = 1 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;
    RETURN true;
END $$;
"""
MODULE = '''
"""A queue as functions."""
import psycopg

TAKE = "UPDATE j SET st = 'r', tries = tries + 1 WHERE id = (SELECT min(id) FROM j WHERE st = 'q') RETURNING id, tries"


def enqueue(connection, payload):
    with connection.transaction():
        return connection.execute("INSERT INTO j SELECT count(*) + 1 FROM j RETURNING id").fetchone()[0]


def claim(connection, worker):
    with connection.transaction():
        row = connection.execute(TAKE).fetchone()
    return {"job": row[0], "tries": row[1]} if row else None


def complete(connection, job, tries):
    with connection.transaction():
        done = connection.execute("UPDATE j SET st = 'd' WHERE id = %s AND tries = %s AND st = 'r'", (job, tries))
    return done.rowcount == 1
'''
_FILE = """
name = "functions"
setup_sql = '''{setup}'''

[promises]
exclusive-claim = true

[observe]
jobs = "SELECT id::text AS job, st AS state FROM j"

[observe.states]
pending = ["q"]
running = ["r"]
completed = ["d"]
"""


def application(
    directory: Path, module: str = MODULE, *, name: str = "app", further: str = "", **changed: str | Mapping[str, str]
) -> Path:
    """A target file of functions beside its module; an operation in `changed` has those lines instead of `python`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.py").write_text(module, encoding="utf-8")
    operations = {each: f'python = "{name}:{each}"' for each in ("enqueue", "claim", "complete")} | changed
    tables = "".join(f"\n[operations.{each}]\n{lines}\n" for each, lines in operations.items())
    path = directory / "jobs.toml"
    path.write_text(_FILE.format(setup=SETUP) + tables + further, encoding="utf-8")
    return path
