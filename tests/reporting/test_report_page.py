"""The page: whole, self-contained, the same twice, and no text in it acts."""

from __future__ import annotations

import dataclasses
import html
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import matplotlib
import pytest
from report_cases import log

from mesascope.questions.spectrum.ladder import OLDER_LADDER
from mesascope.reporting import write_report

HOSTILE = "<script>alert(1)</script> $x^{$ \x1b[31m\u202e \U0001f9ea 網 --> data:image/png;base64,x"
REASON = '<img src=x onerror=alert(1)> "quoted" & $\\frac{$'
EMPTY = {"meta", "br", "img", "hr", "input", "link"}


class Reader(HTMLParser):
    """Collects tags, attributes and text; fails on tags that are not closed."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def words(reader: Reader) -> str:
    return re.sub(r"\s+", " ", " ".join(reader.text))


def pictures(text: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def report(examinations, tmp_path, command="mesascope examine thompson") -> str:
    path = write_report(examinations, tmp_path / "deep" / "report.html", command)
    assert path.stat().st_size < 1_000_000
    return path.read_text(encoding="utf-8")


def eight(examined, logged):
    """Eight subjects, of every kind of placement."""
    first, second = examined
    placed = first.placement
    levels = [
        dataclasses.replace(placed, lowest=low, highest=high, level=low if low == high else "undetermined")
        for low, high in zip(
            OLDER_LADDER, (*OLDER_LADDER[:3], *["general"] * 3), strict=True
        )  # 'general': an older run
    ]
    levels[4] = dataclasses.replace(levels[4], direction="against", reason="against it. Open: 900 lifetimes.")
    rows = [dataclasses.replace(first, subject=f"subject {i}", placement=p) for i, p in enumerate(levels)]
    return [*rows, second, logged]


def test_holds_every_number_as_it_is_quoted(examined, tmp_path):
    seen = words(read(report(examined, tmp_path)))
    for e in examined:
        assert e.answers
        for f in e.answers:
            assert re.sub(r"\s+", " ", f.describe()) in seen, f.metric
        assert e.placement.reason in seen
        assert e.placement.lowest in seen


@pytest.mark.parametrize("count", [1, 2, 8])
def test_is_self_contained_and_well_formed(examined, logged, tmp_path, count):
    text = report(eight(examined, logged)[:count] if count > 2 else examined[:count], tmp_path)
    reader = read(text)
    ids = [a["id"] for _, a in reader.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attrs in reader.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "data"):
                assert value.startswith(("#", "data:image/png;base64,"))
                assert not value.startswith("#") or value[1:] in ids
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    drawn = pictures(text)
    assert len(drawn) >= 6
    for svg in drawn:
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
        assert svg.get("aria-label")
        assert "width" not in svg.attrib


def test_no_text_of_a_user_acts(examined, tmp_path):
    odd = dataclasses.replace(
        examined[0],
        subject=HOSTILE,
        family=HOSTILE,
        trained_on=HOSTILE,
        placement=dataclasses.replace(examined[0].placement, reason=REASON),
        answers=[
            dataclasses.replace(f, reason=REASON, metric=f"{f.metric}{HOSTILE}", split=HOSTILE, question=HOSTILE)
            for f in examined[0].answers
        ],
    )
    text = report([odd, log(HOSTILE)], tmp_path, f"mesascope {HOSTILE}\nsecond line")
    reader = read(text)
    assert not {"script", "img"} & {tag for tag, _ in reader.tags}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    seen = words(reader)
    assert "<script>alert(1)</script> $x^{$" in seen
    assert re.sub(r"\s+", " ", REASON) in seen
    shown = [t.text or "" for svg in pictures(text) for t in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert any(t.startswith("<script>") for t in shown)
    assert html.escape("<script>alert(1)") in text


def test_a_log_without_the_tasks(logged, tmp_path):
    text = report([logged], tmp_path)
    seen = words(read(text))
    assert "realised pay-off" in seen
    assert "not placed" in seen
    assert "4 participants" in seen
    assert len(pictures(text)) == 2
    for f in logged.answers:
        assert re.sub(r"\s+", " ", f.describe()) in seen


def test_an_empty_log_and_one_with_a_single_lifetime(tmp_path):
    blank = log("blank", lifetimes=4)
    lived = blank.trials["logged"].assign(feedback=blank.trials["logged"].feedback * float("nan"))
    for one in (dataclasses.replace(blank, trials={"logged": lived}), log("alone", lifetimes=1, trials=2)):
        assert "not placed" in words(read(report([one], tmp_path)))
    read(report([], tmp_path))


def test_same_bytes_and_nothing_changed_outside(examined, logged, tmp_path):
    before = dict(matplotlib.rcParams)
    group = [*examined, logged]
    first = report(group, tmp_path)
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "text.parse_math": True}):
        assert report(group, tmp_path) == first
    assert dict(matplotlib.rcParams) == before
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["report.html"]


def test_says_what_was_run_and_what_it_does_not_show(examined, tmp_path):
    text = report(examined, tmp_path, "mesascope examine thompson\n  --out here")
    seen = words(read(text))
    assert "mesascope examine thompson\n  --out here" in text
    made = examined[0].answers[0].made
    assert made["commit"] in seen
    for package, version in made["versions"].items():
        assert f"{package} {version}" in seen
    for name, value in dataclasses.asdict(examined[0].placement.rule).items():
        assert f"{name} {value}" in seen
    for heading in ("What this does not show", "Confirmatory", "Descriptive", "What was run"):
        assert heading in seen
    assert "learning" not in seen
    order = ["placement", "trials", "splits", "conditions", "limits", "numbers", "run"]
    found = [a["id"] for tag, a in read(text).tags if tag == "section" and "id" in a]
    assert found == order


def test_importing_is_cheap_and_needs_no_jax():
    told = (
        "import sys, mesascope.reporting\n"
        "assert not {'matplotlib', 'jinja2', 'rich', 'numpy'} & set(sys.modules)\n"
        "import mesascope.reporting.page, mesascope.reporting.terminal\n"
        "assert not {'matplotlib', 'jinja2', 'jax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", told], check=True)
