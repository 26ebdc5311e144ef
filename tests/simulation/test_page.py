"""The page of a run: complete in one file, readable by a browser without a network, and safe whatever a name says."""

from __future__ import annotations

import functools
import json
import math
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from attrs import evolve

from pgqmodel.judge import Verdict
from pgqmodel.promises.reasons import NoRow
from pgqmodel.report import told
from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.page import render_index, render_page
from pgqmodel.simulation.plots import _alone, frequent, kind
from pgqmodel.simulation.result import Check, Result
from pgqmodel.simulation.thresholds import Threshold
from simulation.examples import EXAMPLES, SKIP, START, broken, held

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # What the browser asks of its maker is no request of the page; here it reaches nobody.
    "--disable-features=NetworkTimeServiceQuerying",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="neither chromium nor google-chrome is installed")
VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "</title></svg><script>alert(1)</script><b onmouseover='x'>\" $\\alpha$ {{ 7 * 7 }} & \x1b\n\u202e \u5de5"


class Outline(HTMLParser):
    """What a page is made of; a tag that is closed out of turn is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enter an element."""
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a drawing that is closed at once."""
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text.append(data)

    def all(self, name: str) -> list[str]:
        """The values of an attribute."""
        return [value for _, attribute, value in self.attributes if attribute == name]


@functools.cache
def page(name: str) -> str:
    """The page of an example; drawn once."""
    return render_page(hostile() if name == "hostile" else EXAMPLES[name]())


def outline(name: str) -> Outline:
    """What the page of an example is made of."""
    found = Outline()
    found.feed(page(name))
    found.close()
    return found


def hostile() -> Result:
    """A run in which every text that comes from outside tries to get out of its place."""
    measures = Measures()
    for at in range(40):
        measures.count(HOSTILE, at=at)
        measures.record(HOSTILE, at / 100, at=at)
        measures.sample(HOSTILE, at, at=at)
        measures.sample(f"cpu_percent.{HOSTILE}", at, at=at)
    measures.mark(HOSTILE, at=10)
    return Result(
        name=HOSTILE,
        title=HOSTILE,
        target=HOSTILE,
        postgres=HOSTILE,
        started_at=0.0,
        seconds=40.0,
        command=HOSTILE,
        sizes={HOSTILE: HOSTILE},
        promises=(Verdict.of(HOSTILE, exercised=1, violations=1, anomaly=HOSTILE, facts=(NoRow(HOSTILE),)),),
        checks=(Check(name=HOSTILE, passed=1, failed=0),),
        thresholds=(Threshold(name=HOSTILE, measured=HOSTILE, comparison="<", limit=1, unit=HOSTILE),),
        measures=measures,
        notes=(HOSTILE,),
        environment={HOSTILE: HOSTILE},
    )


NAMES = ("broken", "unknown", "hostile")


@pytest.mark.parametrize("name", NAMES)
def test_page_is_well_formed(name: str) -> None:
    """Every element is closed in its turn, every name is given once, every reference within the page has its end."""
    found = outline(name)
    assert (found.wrong, found.open) == ([], [])
    names = found.all("id")
    assert [each for each, count in Counter(names).items() if count > 1] == []
    references = [value[1:] for value in found.all("href") if value.startswith("#")]
    references += re.findall(r"url\(#([^)]+)\)", page(name))
    references += [each for value in found.all("aria-labelledby") for each in value.split()]
    assert set(references) <= set(names)


@pytest.mark.parametrize("name", NAMES)
def test_page_needs_nothing_else(name: str) -> None:
    """No script runs, and nothing is fetched: every reference stays within the page, and its policy forbids others."""
    found = outline(name)
    assert found.tags["script"] == found.tags["img"] == found.tags["iframe"] == 0
    assert {value for value in found.all("href") if not value.startswith("#")} == {"data:,"}
    assert not found.all("src")
    assert not [attribute for _, attribute, _ in found.attributes if attribute.startswith("on")]
    assert "default-src 'none'" in page(name)
    assert not re.search(r"url\((?!#)|@import", page(name))


def test_hostile_text_is_text() -> None:
    """What a name, a label or a sentence says is shown as it is, in the drawings too, and means nothing to the page."""
    found = outline("hostile")
    assert found.tags["b"] == 1, "the verdict's, and no other"
    assert "49" not in "".join(found.text).replace(" ", "").split("7*7")[0]
    assert page("hostile").count("&lt;script&gt;") > 20
    assert "<script>" not in page("hostile")


@pytest.mark.parametrize("name", NAMES)
def test_page_can_be_heard(name: str) -> None:
    """There is one title and one first heading; every drawing and every table says what it shows."""
    found = outline(name)
    assert found.tags["h1"] == 1
    assert found.tags["table"] == found.tags["caption"]
    assert all(found.all("aria-label"))
    drawings = [value for tag, attribute, value in found.attributes if (tag, attribute) == ("svg", "aria-label")]
    assert found.tags["svg"] == len(drawings)
    assert ("html", "lang", "en") in found.attributes


def test_page_shows_what_matters() -> None:
    """The verdict, the evidence, faults on the time axis, figures, what was not exercised, the command: all there."""
    text = " ".join("".join(outline("broken").text).split())
    for words in (
        "broken A promise broke.",
        *told(SKIP),
        "server killed",
        "kill (40 times)",
        "Latency over time",
        "Throughput over time",
        "CPU",
        "Memory",
        "Lock waits",
        "Latency by percentile",
        "not measured",
        "not exercised",
        broken().command,
    ):
        assert words in text


def test_page_is_the_same_each_time() -> None:
    """A page depends on its run alone: no dates, no chance."""
    assert render_page(hostile()) == page("hostile")


def test_faults_that_came_often_are_told_together() -> None:
    """Marks that differ only in a number are of one kind; a few of a kind stay lines of their own."""
    assert kind("kill w3") == kind("kill w12.2") == "kill"
    assert kind("7") == "7"
    assert frequent([f"kill w{number}" for number in range(13)] + ["server killed"] * 12) == {"kill": 13}


def requests(log: Path) -> set[str]:
    """The URLs that a page asked for, by the browser's own log; the browser's own requests come from no page."""
    asked = [event.get("params", {}) for event in json.loads(log.read_text(encoding="utf-8"))["events"]]
    return {each["url"] for each in asked if each.get("initiator", _BROWSER) != _BROWSER}


_BROWSER = "not an origin"


def browse(path: Path, directory: Path) -> tuple[Outline, str, set[str]]:
    """What a browser made of a page, what it complained of, and what the page asked for."""
    assert BROWSER
    log = directory / "net.json"
    arguments = (f"--user-data-dir={directory / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr")
    shown = subprocess.run(
        [BROWSER, *QUIET, *arguments, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    dom = Outline()
    dom.feed(shown.stdout)
    return dom, "\n".join(line for line in shown.stderr.splitlines() if "CONSOLE" in line), requests(log)


@needs_browser
@pytest.mark.parametrize("name", ["broken", "hostile"])
def test_a_browser_shows_the_page(tmp_path: Path, name: str) -> None:
    """Chromium renders the page to its end, complains of nothing, and is asked by it for nothing."""
    path = tmp_path / "page.html"
    path.write_text(page(name), encoding="utf-8")
    dom, complaints, asked = browse(path, tmp_path)
    expected = outline(name).tags
    for tag in ("svg", "tr", "footer"):
        assert dom.tags[tag] == expected[tag]
    assert dom.tags["script"] == 0
    assert complaints == ""
    assert asked == set()


@needs_browser
def test_the_browser_would_tell(tmp_path: Path) -> None:
    """A page that asks the network for a picture and breaks its policy is found out: the test above is able to fail."""
    path = tmp_path / "page.html"
    policy = "<meta http-equiv='Content-Security-Policy' content=\"script-src 'none'\">"
    path.write_text(f"<!doctype html>{policy}<script>1</script><img src='http://page.invalid/x.png'>")
    _, complaints, asked = browse(path, tmp_path)
    assert "Content Security Policy" in complaints
    assert asked == {"http://page.invalid/x.png"}


def test_times_that_are_all_zero_are_drawn() -> None:
    """On a clock that stands still every latency may be zero: the page is drawn all the same, and says so."""
    measures = Measures()
    for _ in range(5):
        measures.record("claim", 0.0)
    drawn = render_page(evolve(held(), measures=measures))
    assert "Latency by percentile" in drawn


def test_a_point_alone_is_seen() -> None:
    """A curve of one point has a dot for it; what is joined to others has none."""
    assert _alone([1.0]) == [0]
    assert _alone([1.0, 2.0]) == []
    assert _alone([1.0, math.nan, 2.0, 3.0, math.nan, 4.0]) == [0, 5]


def test_what_was_missed_is_told_before_the_plots() -> None:
    """Missed thresholds and failed checks are named right below the verdict, with figure and limit."""
    text = page("broken")
    missed = text.index("wake-up by NOTIFY: not measured; the limit is &lt; 100 ms")
    assert text.index('class="verdict"') < missed < text.index("Over time")


def test_what_was_not_counted_is_not_shown() -> None:
    """A run without checks shows no `0 of 0`."""
    assert "checks passed" not in render_page(evolve(held(), checks=()))


def test_phases_are_not_faults() -> None:
    """A phase of the load is marked in another colour than a fault, and is not counted as one."""
    measures = Measures()
    for at in range(3):
        measures.sample("lock_waits", at, at=START + at)
    measures.mark("burst", at=START + 1, phase=True)
    drawn = render_page(evolve(held(), measures=measures))
    assert "<dt>faults</dt>" not in drawn
    assert "stroke: var(--fault)" not in drawn


def test_the_index_leads_to_the_pages() -> None:
    """Each run has a line with its reasons, and a link if it has a page."""
    drawn = render_index([held(), broken()], {"mixed-load": "reference-mixed-load/page.html"})
    assert "1 of 2 simulations held" in drawn
    assert 'href="reference-mixed-load/page.html"' in drawn
    assert "stage-order is broken: stage-skip, 14 times" in drawn
