"""The project's jobs, for nox; `python3 noxfile.py -s tests` works where nox is not installed: it fetches it first.

tests    the tests                        model    the deep run: reference holds, baseline breaks
quick    a bounded run for pre-commit     quality  the seeded bugs and the sound queues, whole
sim      the simulations, small           bench    figures, as ratios
scales   the simulations at every scale, for the night
lint, types, docs, package
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOX = "nox>=2025.5"


def bootstrap() -> None:
    """Run this file's jobs through nox, in a private environment if it is not installed here."""
    try:
        from nox.__main__ import main
    except ImportError:
        home = HERE / ".nox" / "bootstrap"
        python = home / "bin" / "python"
        if not (home / "ready").exists():
            make_environment(home)
            subprocess.run([python, "-m", "pip", "install", "--quiet", NOX], check=True)
            (home / "ready").touch()
        os.execv(python, [str(python), __file__, *sys.argv[1:]])  # noqa: S606 - the same words, in the right place
    sys.argv = ["nox", "-f", __file__, *sys.argv[1:]]
    main()


def make_environment(home: Path) -> None:
    """A virtual environment; by virtualenv where the system has split `ensurepip` off, as Debian does."""
    try:
        venv.create(home, with_pip=True, clear=True)
    except (subprocess.CalledProcessError, ImportError):
        with tempfile.TemporaryDirectory() as folder:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "virtualenv"]
            subprocess.run(pip, check=True)
            make = [sys.executable, "-m", "virtualenv", "--quiet", "--clear", home]
            subprocess.run(make, check=True, env={**os.environ, "PYTHONPATH": folder})


if __name__ == "__main__":
    bootstrap()

import nox  # noqa: E402 - only there once bootstrapped

nox.options.sessions = ["tests", "lint", "types", "quick"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True


def run_for(session: nox.Session, default: float) -> float:
    """The seconds that `-- --seconds N` or `-- --minutes N` ask for."""
    words = list(session.posargs)
    if not words:
        return default
    units = {"--seconds": 1.0, "--minutes": 60.0}
    if len(words) != 2 or words[0] not in units:
        session.error(f"got {' '.join(words)!r}; expected --seconds N or --minutes N behind the --")
    try:
        return float(words[1]) * units[words[0]]
    except ValueError:
        session.error(f"got {words[1]!r}; expected a number behind {words[0]}")


def _install_once(session: nox.Session) -> None:
    """Install the checkout, editable, unless the environment has it with the same pyproject.toml and place."""
    wanted = hashlib.sha256((HERE / "pyproject.toml").read_bytes() + bytes(HERE)).hexdigest()
    stamp = Path(session.virtualenv.location) / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        session.install("-e", ".")
        stamp.write_text(wanted)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests on Postgres 18, those that depend on the server on 16 again, and the finding power, bounded."""
    session.install("-e", ".[test]")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", "-n", "2", "tests/quality")  # a finding is shrunk in one process: the other core would idle
    beside = ("-n", "2", "--dist", "loadfile", "--ignore=tests/quality", "--ignore=tests/zoo")
    session.run("pytest", "-m", "both_majors", "--pg", "16", *beside)
    session.run("pytest", *beside)


@nox.session
def model(session: nox.Session) -> None:
    """The main job: the reference queue is explored and must hold; the baseline is explored and must break."""
    seconds = run_for(session, 120)
    session.install("-e", ".")
    session.run("pgqmodel", "check", "reference", "--seconds", f"{seconds:g}")
    session.run("pgqmodel", "check", "baseline", "--seconds", f"{max(seconds / 4, 30):g}", success_codes=[1])
    session.log("the reference held, and the baseline broke as it should: see the report above")


@nox.session
def quick(session: nox.Session) -> None:
    """A bounded run, for pre-commit; what it runs is installed only when what is needed has changed."""
    _install_once(session)
    session.run("pgqmodel", "check", "reference", "--seconds", "5")


@nox.session
def quality(session: nox.Session) -> None:
    """Every seeded bug from three seeds, every sound queue for a minute.

    `-- -k sound_queue --steps 200000 --pg 16` explores each sound queue on Postgres 16 minute by minute, each minute
    from another seed, until it has taken so many steps; `-k "sound_queue and enums"` does it with one queue.
    """
    session.install("-e", ".[test]")
    session.run("pytest", "tests/quality", "tests/zoo", "--zoo", "--seeds", "3", "--seconds", "60", *session.posargs)


@nox.session
def sim(session: nox.Session) -> None:
    """Every simulation at a size that takes seconds; what stands behind the -- is for `pgqmodel sim` instead."""
    session.install("-e", ".")
    small = ("all", "--scale", "0.02", "--seconds", "2")
    session.run("pgqmodel", "sim", *(session.posargs or small), "--out", session.create_tmp())


@nox.session
def scales(session: nox.Session) -> None:
    """Every simulation at every scale that people use; for the night."""
    session.install("-e", ".[test]")
    every = "0.01,0.02,0.05,1,2"
    session.run("pytest", "tests/sims/test_scales.py", "--scales", every, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Figures, each as a ratio to a peer on the same server in the same run."""
    session.install("-e", ".[test,bench]")
    session.run("python", "tests/bench", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, for style and for format."""
    session.install("ruff>=0.14")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    session.install("-e", ".[types]", "--config-settings=editable_mode=strict")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, with every warning an error."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", "docs/_build")


@nox.session
def package(session: nox.Session) -> None:
    """The built wheel in an environment of its own, tried from outside the checkout."""
    session.install("build")
    dist = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--outdir", str(dist), "--quiet")
    wheel = max(dist.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}[test]")
    env = {"PYTHONSAFEPATH": "1"}
    session.run("pytest", "tests/test_packaging.py", "tests/cli/test_walk.py", "-p", "no:cacheprovider", env=env)
