"""Values of a target file that nothing can be done with, and modules that cannot be imported."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from zlib import crc32

import pytest

from pgqmodel.errors import TargetError
from pgqmodel.target import load

_TEMPLATE = files("pgqmodel.target.template")
_HUGE = "9" * 5000
SETTINGS = {
    "a timeout that is NaN": ("heartbeat_timeout_seconds", "nan"),
    "an infinite timeout": ("heartbeat_timeout_seconds", "inf"),
    "a timeout of 0": ("heartbeat_timeout_seconds", "0"),
    "a negative timeout": ("heartbeat_timeout_seconds", "-1"),
    "a timeout of 10^15": ("heartbeat_timeout_seconds", "1000000000000000"),
    "a timeout that is true": ("heartbeat_timeout_seconds", "true"),
    "a timeout that is text": ("heartbeat_timeout_seconds", "'30'"),
    "attempts that are NaN": ("max_attempts", "nan"),
    "infinite attempts": ("max_attempts", "inf"),
    "no attempts": ("max_attempts", "0"),
    "half an attempt": ("max_attempts", "1.5"),
    "10^15 attempts": ("max_attempts", "1000000000000000"),
    "clocks that differ by less than nothing": ("clock_skew_seconds", "-1"),
    "clocks that differ by text": ("clock_skew_seconds", "'5'"),
    "clocks that differ without end": ("clock_skew_seconds", "inf"),
    "a delivery that there is not": ("delivery", "'exactly-once'"),
    "a delivery that is a number": ("delivery", "1"),
    "more digits than Python writes": ("max_attempts", "0x1" + "0" * 5000),
}


def _refused(directory: Path, text: str) -> str:
    """What is said of a target file with this text."""
    path = directory / "jobs.toml"
    path.write_text(text, encoding="utf-8")
    (directory / "schema.sql").write_text("SELECT 1", encoding="utf-8")
    with pytest.raises(TargetError) as caught:
        load(str(path))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "expected" in message
    return message


@pytest.mark.parametrize(("key", "value"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_is_no_sane_number_is_refused(tmp_path: Path, key: str, value: str) -> None:
    """A setting that no run could keep is refused with its file and key, before anything is started."""
    lines = (_TEMPLATE / "jobs.toml").read_text(encoding="utf-8").splitlines()
    rest = [line for line in lines if not line.startswith((key, "[settings]"))]
    others = [line for line in rest if not line.startswith(("heartbeat_timeout_seconds", "max_attempts"))]
    text = "\n".join([*others, "[settings]", f"{key} = {value}"])
    assert f"settings.{key}: found " in _refused(tmp_path, text)


GREATEST = {"heartbeat_timeout_seconds": 31_622_400, "max_attempts": 1_000_000}


@pytest.mark.parametrize(("key", "greatest"), GREATEST.items(), ids=GREATEST)
def test_the_greatest_setting_is_taken_and_no_greater(tmp_path: Path, key: str, greatest: int) -> None:
    """A setting may be as great as docs/target-format.md says, and the refusal of a greater one says the same."""
    lines = (_TEMPLATE / "jobs.toml").read_text(encoding="utf-8").splitlines()
    text = "\n".join(f"{key} = {greatest}" if line.startswith(key) else line for line in lines)
    assert f"at most {greatest}." in _refused(tmp_path, text.replace(str(greatest), str(greatest + 1)))
    (tmp_path / "jobs.toml").write_text(text, encoding="utf-8")
    assert load(str(tmp_path / "jobs.toml")).settings[key] == greatest


BROKEN = {
    "more digits than Python reads": f"name = {_HUGE}",
    "nested too deep": f"name = {'[' * 100_000}",
    "a NUL in the name": 'name = "jobs\\u0000"',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_file_that_cannot_be_taken_is_refused(tmp_path: Path, text: str) -> None:
    """What the TOML reader itself cannot take, and a NUL, are faults of the file."""
    _refused(tmp_path, text)


@pytest.mark.parametrize("statement", ["1 / 0", "raise SystemExit(0)", "raise RuntimeError('no key')"])
def test_a_module_that_raises_while_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """Whatever a target's module raises is the target's fault, said in one sentence."""
    (tmp_path / f"raising{crc32(statement.encode())}.py").write_text(statement, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TargetError, match=r"cannot be imported: raising\d+ raised .*expected"):
        load(f"raising{crc32(statement.encode())}:TARGET")
