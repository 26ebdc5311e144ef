"""A server that others run, named by URL: we create a database in it and drop it afterwards, and never crash it."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgqmodel.errors import UsageError
from pgqmodel.server.connection import SideConnection

__all__ = ["External", "named"]

LEFTOVER_SECONDS = 600
"""The age at which an unconnected database counts as left behind. A living run is always connected to its database,
except for moments around its creation."""
_LEFTOVERS = """
SELECT datname AS name FROM pg_catalog.pg_database AS d
WHERE datname ~ '^pgqmodel_[0-9a-f]{16}$' AND pg_catalog.pg_get_userbyid(datdba) = current_user
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.datid = d.oid)
"""


def named(which: str) -> str:
    """The value of `--pg` in a form that others may read: a URL without password; empty for an embedded server."""
    if "://" not in which and "=" not in which:
        return ""
    return make_conninfo(**{key: value for key, value in _parse(which).items() if key != "password"})


class External:
    """A server by its URL; a context manager."""

    can_crash = False
    running = True
    clock = None

    def __init__(self, url: str) -> None:
        """Try the URL; UsageError (without the password) if it cannot be used."""
        self._base, self._url = _parse(url), url
        try:
            with SideConnection(self.conninfo()) as side:
                row = side.query(
                    "SELECT current_setting('server_version') AS version, rolcreatedb OR rolsuper AS may, "
                    "rolsuper AS super FROM pg_catalog.pg_roles WHERE rolname = current_user"
                )[0]
        except psycopg.OperationalError as error:
            message = (
                f"the server {self._shown()} cannot be reached: {_reason(error)}; expected a "
                "running Postgres. Check the URL, or leave --pg out to use the embedded one"
            )
            raise UsageError(message) from error
        if not row["may"]:
            message = (
                f"the user of {self._shown()} may not create databases; expected the right CREATEDB, because the queue "
                "is set up in a database of its own. Grant it, or name another user"
            )
            raise UsageError(message)
        self.version: str = row["version"].split()[0]
        self.superuser: bool = row["super"]
        self._directory = tempfile.TemporaryDirectory(prefix="pgqmodel-gate-")
        self.socket_dir = Path(self._directory.name)
        self.database_name = f"pgqmodel_{int(time.time()):08x}{secrets.token_hex(4)}"
        self._sweep()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop our database if it still exists; closing twice is fine."""
        with contextlib.suppress(psycopg.OperationalError), SideConnection(self.conninfo()) as side:
            side.execute(f'DROP DATABASE IF EXISTS "{self.database_name}" WITH (FORCE)')
        self._directory.cleanup()

    def _sweep(self) -> None:
        """Drop the databases of killed runs: old ones with our kind of name and our owner, without connections."""
        with SideConnection(self.conninfo()) as side:
            for row in side.query(_LEFTOVERS):
                made = int(row["name"].removeprefix("pgqmodel_")[:8], 16)
                if time.time() - made > LEFTOVER_SECONDS:
                    with contextlib.suppress(psycopg.Error):
                        side.execute(f'DROP DATABASE IF EXISTS "{row["name"]}"')

    def _shown(self) -> str:
        return named(self._url)

    @property
    def address(self) -> str | tuple[str, int]:
        """The address for the gate: the path of a socket, or host and port."""
        host = str(self._base.get("host") or os.environ.get("PGHOST") or "/var/run/postgresql")
        port = int(self._base.get("port") or os.environ.get("PGPORT") or 5432)
        return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)

    def conninfo(self, database: str | None = None) -> str:
        """The connection string for one of its databases; the URL's own database by default."""
        return make_conninfo(**(self._base | ({"dbname": database} if database else {})))

    def processes(self) -> list[int]:
        """None: we cannot see its processes."""
        return []

    def poke(self, pid: int) -> None:
        """Do nothing: we may not signal the backends of a server that others run."""

    def pause(self, pid: int, stop: bool) -> None:
        """Do nothing, for the same reason."""

    def crash(self) -> None:
        """Raise an error: we never crash a server that others run."""
        message = "a server that others run was to be crashed; expected an embedded one. This is a defect: report it"
        raise UsageError(message)

    restart = crash


def _reason(error: psycopg.Error) -> str:
    """The last cause in libpq's message; indented lines are hints for people."""
    causes = [line for line in str(error).strip().splitlines() if not line.startswith("\t")]
    return causes[-1].removeprefix("- ")


def _parse(url: str) -> dict[str, str]:
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        # libpq quotes the text that it cannot parse, which may be a part of a password.
        reason = "" if "@" in url or "password" in url else f": {str(error).strip()}"
        message = (
            f"--pg got a URL that libpq cannot read{reason}; expected one such as postgresql://user@host:port/db. "
            "Write special characters in it as %XX"
        )
        raise UsageError(message) from error
    return {key: str(value) for key, value in parts.items() if value is not None}
