"""The page of documentation is true: its commands are run and its outputs compared."""

from __future__ import annotations

import html
import re
import shlex
import shutil
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesascope import cruxes
from mesascope.cli.main import app as main_app
from mesascope.cruxes.commands import app
from mesascope.cruxes.options import EXAMPLES
from mesascope.errors import MesascopeError

PAGE = Path(__file__).parents[2] / "docs" / "cruxes.md"
THREAD_PAGE = PAGE.with_name("thread.md")
VERBS = {"check", "answer", "translate", "gap", "voi", "vod", "update", "pool", "report"}
OTHER_VERBS = {"export", "import", "decide", "ask", "init"}


def blocks(page: Path = PAGE) -> list[tuple[str, str]]:
    """(command, expected output) of every console block."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output.rstrip("\n")))
    return found


def write_files(folder: Path) -> None:
    for name, body in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(body, encoding="utf-8")


@pytest.mark.parametrize(("command", "output"), blocks(), ids=lambda x: x[:60])
def test_a_documented_command_prints_what_the_page_says(command, output, tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    assert words[:2] == ["mesascope", "crux"]
    result = CliRunner().invoke(app, words[2:])
    assert result.exit_code == 0, result.exception
    assert result.stdout.rstrip("\n").split("\n") == output.split("\n")


def test_the_page_of_the_thread_prints_what_the_command_prints():
    ((command, output),) = blocks(THREAD_PAGE)
    assert command == "mesascope thread"
    result = CliRunner().invoke(main_app, ["thread"])
    assert result.exit_code == 0, result.exception
    assert result.stdout.rstrip("\n").split("\n") == output.split("\n")


def test_every_verb_is_documented_with_its_output():
    text = PAGE.read_text(encoding="utf-8")
    assert {command.split()[2] for command, _ in blocks()} >= VERBS | (OTHER_VERBS - {"init"})
    assert "mesascope crux init" in text


def test_every_statement_of_the_thread_is_listed_with_its_words_number_and_speaker():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = {cells[1]: cells for cells in (re.split(r" ?(?<!\\)\| ?", line) for line in lines) if len(cells) == 8}
    for claim in cruxes.load_thread().content.claims.values():
        _, name, by, words, value, _, inferred, _ = rows[claim.id]
        assert (name, by) == (claim.id, " and ".join(claim.people))
        assert words == (f"“{claim.quote}”" if claim.quote else f"(summary) {claim.text}")
        assert value.startswith(claim.value.text if claim.value else "–")
        assert all(label in inferred for label in claim.interpretations)


@pytest.mark.parametrize("verb", sorted(VERBS | OTHER_VERBS))
def test_help_is_a_sentence_and_an_example_that_runs(verb, tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [verb, "--help"])
    text = " ".join(result.stdout.split())
    example = re.search(r"Example: mesascope crux (.*?) (?:Arguments|Options)", text)
    assert example, text
    assert CliRunner().invoke(app, shlex.split(example.group(1))).exit_code == 0


@pytest.mark.parametrize("verb", sorted(VERBS | {"export"}))
def test_json_is_one_document_and_nothing_else(verb, tmp_path, monkeypatch):
    import json

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [verb, "--json"])
    record = json.loads(result.stdout)
    assert result.stderr == ""
    assert record["command"] == verb
    assert record["file"] == "thread.toml"
    assert record["conventions"]["reading"] == "centre"
    assert "result" in record


def test_json_carries_the_numbers():
    import json

    result = json.loads(CliRunner().invoke(app, ["answer", "--person", "lister", "--with", "b1", "--json"]).stdout)[
        "result"
    ]
    assert (result[0]["low"], result[0]["high"]) == pytest.approx((0.9865, 0.994))
    assert result[0]["bridges"] == ["b0", "b1"]
    infinite = json.loads(CliRunner().invoke(app, ["vod", "--json"]).stdout)["result"]
    assert "-inf" in {value["low"] for value in infinite}


def test_exit_codes(tmp_path):
    file = tmp_path / "clash.toml"
    file.write_text(
        'format = "mesascope-crux/1"\nquery = { target = "U" }\n[atoms]\nU = "u"\nC = "c"\n'
        '[people]\nann = { name = "A" }\n'
        '[claims]\npu = { by = "ann", event = "U", value = "5%" }\n'
        'puc = { by = "ann", event = "U", given = "C", value = "80%" }\n'
        'pc = { by = "ann", event = "C", value = "10%" }\n'
    )
    for verb in ("check", "answer"):
        result = CliRunner().invoke(app, [verb, str(file)])
        assert result.exit_code == 1
        assert "incoherent" in result.stdout
    assert CliRunner().invoke(app, ["check"]).exit_code == 0
    assert CliRunner().invoke(app, ["check", "--no-such-option"]).exit_code == 2
    missing = CliRunner().invoke(app, ["check", str(tmp_path / "none.toml")])
    assert isinstance(missing.exception, MesascopeError)


NASTY = '<script>alert(1)</script>"><img src=x onerror=alert(2)> & {{ 7*7 }}'


def nasty_argument() -> cruxes.Argument:
    body = NASTY.replace("\\", "\\\\").replace('"', '\\"')
    text = cruxes.load_thread().text
    for old in (
        "existential catastrophe",
        "the one who lists the cruxes",
        "hard to say",
        "whether fixes are used is",
        "easy is taken for granted",
        "the paper, for a search in the weights",
        "neural-net paradigm",
        "large networks, trained by others on open-ended tasks",
        "the lister's cut: is a fix reachable",
    ):
        assert old in text
        text = text.replace(old, body + old[:3])
    return cruxes.Argument(text, "<b>nasty</b>.toml")


@cache
def draw_page(nasty: bool = False) -> str:
    """The page of the thread as shipped, or with markup in its texts; drawn once for all tests."""
    return (nasty_argument() if nasty else cruxes.load_thread()).html()


def test_the_page_escapes_everything_and_needs_nothing():
    plain, nasty = draw_page(), draw_page(nasty=True)
    for page in (plain, nasty):
        assert page.startswith("<!doctype html>")
        for outside in ("<script", "<img", "http://", "https://", "@import", "<link", "onload", "url(http"):
            assert outside not in page.lower()
        assert page.count("<svg") == page.count("</svg>") >= 3
    assert "&lt;script&gt;" in nasty
    assert "{{ 7*7 }}" in nasty.replace("&#123;", "{")
    assert "49" not in re.sub(
        r"[0-9.]{3,}|\d+\.\d+", "", nasty[nasty.index("<main") : nasty.index("Each person's answer")]
    )


def test_the_page_is_well_formed_and_its_drawings_name_themselves():
    from xml.etree import ElementTree

    page = draw_page(nasty=True)
    drawings = re.findall(r"<svg.*?</svg>", page, re.S)
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.attrib["aria-label"]
        assert root.find("title").text


def test_the_page_keeps_stated_refused_and_bridged_apart():
    page = draw_page()
    assert "critic declines d3a, d3b" in page
    assert "critic withdrew u6" in page
    assert "[0, 0.994]" in page
    assert "needs findings" in page
    statements = page[page.index("All statements") : page.index("Declined")]
    for bridge in ("b0", "b1", "b2", "b3", "b4"):
        assert f">{bridge}<" not in statements
        assert f"<b>{bridge}</b>, bridge for" in page


def test_the_page_opens_with_the_result_and_explains_every_code():
    page, content = draw_page(), cruxes.load_thread().content
    opening = page[page.index("</h1>") : page.index("<h2")]
    assert "lister&#39;s claims allow [0, 0.994], critic&#39;s claims allow [0, 0.3]" in opening
    assert "do not say that the two differ" in opening
    for name in (*content.atoms, *content.definitions, *content.bridges, *content.claims, *content.evidence):
        assert f"<b>{name}</b>" in page, name
    for claim in content.claims.values():
        assert not claim.quote or f"<q>{html.escape(claim.quote, quote=False)}".replace("'", "&#39;") in page


def test_points_on_the_page_say_that_they_are_points():
    page = cruxes.load_thread().html(should_use_points=True)
    assert page.count("at points, which no claim supports") == 2
    assert "critic, read at a" in page
    assert "depends on the cut" in page
    assert "read at a" not in draw_page()


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FRAME = """<body style="margin:0"><iframe src="inner.html" style="border:0;width:420px;height:900px"></iframe>
<script>onload = () => { const page = frames[0].document; const sizes = [...page.querySelectorAll("td, p, li, text")]
.map((x) => parseFloat(getComputedStyle(x).fontSize)); document.title = JSON.stringify({
width: page.documentElement.scrollWidth, smallest: Math.min(...sizes),
narrowest: Math.min(...[...page.querySelectorAll("td")].filter((x) => x.textContent.length > 9)
.map((x) => x.clientWidth)),
scale: Math.min(1, ...[...page.querySelectorAll("svg")].map((x) => x.clientWidth / x.viewBox.baseVal.width)) }); };
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.parametrize("name", ["argument", "thread", "reader", "reader of several hypotheses"])
def test_a_page_is_readable_at_420_pixels(name, tmp_path):
    import json
    import subprocess

    from mesascope.cruxes.reader import render_questions
    from mesascope.thread.report import make_thread_report, render_thread

    pages = {"argument": draw_page, "thread": lambda: render_thread(make_thread_report())}
    pages["reader"] = lambda: render_questions(cruxes.load_thread())
    pages["reader of several hypotheses"] = lambda: render_questions(cruxes.load_argument(EXAMPLES / "dispute.toml"))
    (tmp_path / "inner.html").write_text(pages[name]())
    (tmp_path / "outer.html").write_text(FRAME)
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += [f"--user-data-dir={tmp_path / 'user'}", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run([*command, f"file://{tmp_path}/outer.html"], capture_output=True, text=True, timeout=120)
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout).group(1)))
    assert found["width"] <= 420  # nothing sticks out; drawings scroll in their own frame, at their own size
    assert found["smallest"] >= 11
    assert found["scale"] == 1
    assert found["narrowest"] is None or found["narrowest"] >= 90  # no column breaks words letter by letter


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.parametrize("name", ["argument", "thread"])
def test_a_page_is_whole_at_1400_pixels_and_in_print(name, tmp_path):
    import json
    import subprocess

    from mesascope.thread.report import make_thread_report, render_thread

    report = make_thread_report()
    (tmp_path / "inner.html").write_text(draw_page() if name == "argument" else render_thread(report))
    (tmp_path / "outer.html").write_text(FRAME.replace("420px", "1400px"))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += [f"--user-data-dir={tmp_path / 'user'}", "--virtual-time-budget=3000", "--no-pdf-header-footer"]
    place = f"file://{tmp_path}"
    done = subprocess.run([*command, "--dump-dom", f"{place}/outer.html"], capture_output=True, text=True, timeout=120)
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout).group(1)))
    assert found["width"] <= 1400
    assert (found["scale"], found["smallest"] >= 11) == (1, True)
    printed = tmp_path / "printed.pdf"
    subprocess.run([*command, f"--print-to-pdf={printed}", f"{place}/inner.html"], capture_output=True, timeout=120)
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) <= 12
    if name == "thread" and (reader := shutil.which("pdftotext")):
        text = subprocess.run([reader, "-layout", printed, "-"], capture_output=True, text=True, timeout=60).stdout
        for row in report.rows:
            assert f"{row.id} · " in text
        assert "%" not in [line.strip() for line in text.splitlines()]  # the empty fields of a reader are not printed


def test_the_waterfall_adds_up():
    from xml.etree import ElementTree

    from mesascope.cruxes.figures import draw_waterfall

    drawing = draw_waterfall(("a", 0.9), [("x", -0.5, ""), ("y", 0.1, "")], ("b", 0.5), "gap")
    heights = [float(r.attrib["height"]) for r in ElementTree.fromstring(drawing).iter("rect")]
    start, down, up, end = heights
    assert start - down + up == pytest.approx(end, abs=0.2)
