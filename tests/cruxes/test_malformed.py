"""What is wrong is said once, with the entry and its line, quickly and in little memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mesascope import cruxes
from mesascope.cruxes.commands import app
from mesascope.errors import MesascopeError

from .malformed import BYTES, CLAIMS, TABLE, forty


def test_there_are_at_least_sixty_cases():
    assert len(TABLE) >= 180
    assert sum("claim '" in place for place, _ in TABLE.values()) >= len(CLAIMS) + 20


@pytest.mark.parametrize("name", TABLE)
def test_one_message_in_little_time(name, tmp_path):
    place, text = TABLE[name]
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8", newline="")
    start = time.process_time()
    with pytest.raises(MesascopeError) as caught:
        cruxes.load_argument(file)
    assert time.process_time() - start < 5
    error = caught.value
    assert error.problem.isprintable()
    assert error.problem.startswith(f"bad.toml: {place}: ")
    assert error.remedy
    assert len(str(error)) < 900
    assert str(error).isprintable()


@pytest.mark.parametrize("name", BYTES)
def test_what_cannot_be_read_as_text_has_a_line_too(name, tmp_path):
    line, content = BYTES[name]
    (tmp_path / "bytes.toml").write_bytes(content)
    with pytest.raises(MesascopeError, match=f"^bytes.toml: line {line}: not UTF-8"):
        cruxes.load_argument(tmp_path / "bytes.toml")


def test_a_mark_of_byte_order_is_no_mistake(tmp_path):
    text = cruxes.load_thread().text
    (tmp_path / "marked.toml").write_text(text, encoding="utf-8-sig")
    assert cruxes.load_argument(tmp_path / "marked.toml").text == text


def test_what_is_no_file_to_read(tmp_path):
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    for path in (tmp_path / "large.toml", tmp_path, tmp_path / "missing.toml", "\0"):
        with pytest.raises(MesascopeError):
            cruxes.load_argument(path)


@pytest.mark.parametrize("rule", [False, True])
def test_forty_atoms_are_answered(rule, tmp_path):
    file = tmp_path / "forty.toml"
    file.write_text(forty(rule))
    for words in (["check"], ["answer"], ["voi", "--crux", "N3"]):
        start = time.process_time()
        result = CliRunner().invoke(app, [words[0], str(file), *words[1:]])
        assert result.exit_code == 0, result.exception
        assert time.process_time() - start < 5
    found = cruxes.load_argument(file).answer("ann", "N39")
    # the claims say nothing about an atom without the one before it
    assert found.high == pytest.approx(1 - 0.1 * 0.8 * 0.9**38, abs=1e-7)
    if not rule:
        assert found.low == pytest.approx(0.8 * 0.9**39, abs=1e-7)


def test_forty_atoms_in_a_chain_have_an_answer_as_a_network(tmp_path):
    file = tmp_path / "forty.toml"
    file.write_text(forty(False))
    found = cruxes.load_argument(file).answer("ann", "N39", "N38", engine="net")
    assert found.point == pytest.approx(0.9, abs=1e-12)


def run_fresh(program: str, folder: Path) -> Any:
    """What a program in a process of its own, with 4 GB of addresses, prints as JSON."""
    setup = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
    done = subprocess.run(
        [sys.executable, "-c", setup + textwrap.dedent(program), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_the_whole_table_in_less_than_a_gigabyte(tmp_path):
    for i, text in enumerate(text for _, text in TABLE.values()):
        (tmp_path / f"{i}.toml").write_text(text, encoding="utf-8", newline="")
    program = """
        import sys
        from pathlib import Path
        from typer.testing import CliRunner
        from mesascope.cruxes.commands import app
        from mesascope.errors import MesascopeError
        for file in sorted(Path(sys.argv[1]).glob("*.toml")):
            result = CliRunner().invoke(app, ["check", str(file)])
            assert isinstance(result.exception, MesascopeError), (file, result.exception)
        status = Path("/proc/self/status")  # its own peak: that of getrusage holds the parent's as well
        own = [x.split()[1] for x in (status.read_text() if status.exists() else "").splitlines() if "VmHWM" in x]
        print(own[0] if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    peak = run_fresh(program, tmp_path)
    assert peak * (1 if sys.platform != "darwin" else 1 / 1024) < 1_000_000  # kilobytes


def test_the_command_ends_with_2_after_two_lines(tmp_path):
    wanted = {f"{i}.toml": TABLE[name] for i, name in enumerate(list(TABLE)[::9])}
    for name, (_, text) in wanted.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    program = """
        import contextlib, io, json, sys
        from pathlib import Path
        from mesascope.cli.main import run_command as run
        told = {}
        for file in sorted(Path(sys.argv[1]).glob("*.toml")):
            out, said = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
                code = run(["crux", "check", str(file)])
            told[file.name] = code, out.getvalue(), said.getvalue()
        print(json.dumps(told))
    """
    told = run_fresh(program, tmp_path)
    assert told.keys() == wanted.keys()
    for name, (code, out, said) in told.items():
        assert (code, out) == (2, "")
        problem, remedy = said.splitlines()  # what is wrong, and what to do
        assert problem.startswith(f"mesascope: {name}: {wanted[name][0]}: ")
        assert remedy


VALUES = [
    ["answer", "--person", "eve"],
    ["answer", "--person", "\0"],
    ["answer", "--target", "Q"],
    ["answer", "--target", "P &"],
    ["answer", "--target", "P" + "&P" * 900],
    ["answer", "--engine", "magic"],
    ["answer", "--reading", "median"],
    ["answer", "--words", "yougov"],
    ["answer", "--plus-minus", "0.9"],
    ["answer", "--plus-minus", "nan"],
    ["answer", "--with", "b9"],
    ["answer", "--interpretation", "zz"],
    ["answer", "--person", "critic", "--engine", "net"],
    ["translate", "--event", "zz"],
    ["gap", "--between", "lister"],
    ["gap", "--between", "lister,eve"],
    ["gap", "--cut", "zz"],
    ["gap", "--scale", "sqrt"],
    ["gap", "--method", "zz"],
    ["gap", "--points", "--group", "T,zz", "--method", "owen"],
    ["gap", "--points", "--cut", "shared claims", "--method", "oat"],
    ["voi", "--base", "7"],
    ["voi", "--divergence", "zz"],
    ["voi", "--crux", "zz"],
    ["voi", "--crux", "T;T"],
    ["voi", "--engine", "zz", "--person", "eve"],
    ["voi", "--engine", "zz"],
    ["voi", "--engine", "sample", "--crux", "T"],
    ["voi", "--engine", "zz", "--person", "critic", "--crux", "L"],
    ["voi", "--engine", "zz", "--person", "lister", "--claims"],
    ["voi", "--divergence", "zz", "--person", "lister", "--claims"],
    ["voi", "--engine", "lp", "--person", "lister", "--crux", "T; !T"],
    ["vod", "--engine", "zz"],
    ["vod", "--engine", "zz", "--crux", "L"],
    ["answer", "--engine", "zz", "--person", "critic", "--target", "L"],
    ["translate", "--engine", "zz", "--event", "L", "--to", "critic"],
    ["pool", "--engine", "zz", "--person", "critic", "--target", "L"],
    ["vod", "--weights", "zz"],
    ["vod", "--divergence", "zz"],
    ["update", "--evidence", "zz"],
    ["update", "--evidence", "e4"],
    ["update", "--evidence", "e4", "--k", "9", "--n", "3"],
    ["update", "--evidence", "e4", "--k", "9" * 400, "--n", "9" * 400],
    ["update", "--evidence", "e1", "--k", "1", "--n", "3"],
    ["update", "--findings", "/nowhere"],
    ["pool", "--method", "zz"],
    ["pool", "--weights", "a,b"],
    ["pool", "--weights", "1"],
    ["pool", "--method", "linear", "--weights", "nan,1"],
    ["pool", "--method", "linear", "--weights", "0,0"],
    ["pool", "--method", "extremised", "--base-rate", "1"],
    ["pool", "--person", "eve"],
    ["report", "--out", "/nowhere/page.html"],
    ["export", "--format", "zz"],
    ["export", "--format", "bif"],
    ["export", "--format", "bif", "--person", "critic"],
    ["import", "/nowhere.bif"],
    ["import", "/nowhere.xls"],
    ["export", "--format", "squiggle"],
    ["export", "--format", "squiggle", "--person", "eve"],
    ["update", "--evidence", "e1", "--evidence", "e1"],
    ["update", "--evidence", "e1", "--evidence", "e2"],
    ["update", "dispute", "--evidence", "season", "--hypothesis", "Wasp"],
    ["update", "dispute", "--evidence", "season", "--evidence", "ban", "--k", "3", "--n", "4"],
    ["update", "--evidence", "e4", "--evidence", "e2"],
    ["decide"],
    ["decide", "decision", "--decision", "zz"],
    ["ask", "decision"],
    ["ask", "--page", "/nowhere/page.html"],
    ["init", "/nowhere/new.toml", "--endorse", "a1"],
    ["init", str(Path(__file__))],
    ["gap", "--points", "--between", "author,critic"],
    ["answer", "no_such_example"],
]


QUERYLESS = 'format = "mesascope-crux/1"\n[atoms]\nA = "a"\n[people]\nann = { name = "Ann" }\nbob = { name = "Bob" }\n'
ADVISED = [
    ["export", "--format", "bif", "--person", "critic"],
    ["gap", "FILE", "--between", "ann,bob"],
    ["vod", "FILE", "--between", "ann,bob"],
    ["answer", "--person", "critic", "--engine", "net"],
    ["decide"],
    ["update", "--evidence", "e4"],
    ["pool", "--method", "linear", "--weights", "1"],
]


@pytest.mark.parametrize("words", ADVISED, ids=" ".join)
def test_advice_names_options_that_the_command_has(words, tmp_path):
    (tmp_path / "f.toml").write_text(QUERYLESS)
    words = [str(tmp_path / "f.toml") if word == "FILE" else word for word in words]
    error = CliRunner().invoke(app, words).exception
    assert isinstance(error, MesascopeError)
    usage = CliRunner().invoke(app, [words[0], "--help"]).stdout
    advised = re.findall(r"--[a-z-]+", error.remedy)
    assert all(option in usage for option in advised), error.remedy


@pytest.mark.parametrize("words", VALUES, ids=lambda words: ascii(" ".join(words))[:60])
def test_values_on_the_command_line(words):
    start = time.process_time()
    result = CliRunner().invoke(app, words)
    assert time.process_time() - start < 5
    assert isinstance(result.exception, MesascopeError), (result.output, result.exception)
    assert result.exception.remedy
    assert result.output == ""
