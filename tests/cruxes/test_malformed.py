"""What is wrong is said once, with the entry and its line, quickly and in little memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import pytest
from typer.testing import CliRunner

from mesascope import cruxes
from mesascope.cruxes.commands import app
from mesascope.errors import MesascopeError

HEAD = """format = "mesascope-crux/1"
query = { target = "X", compare = ["ann", "bob"] }
[atoms]
A = "a"
B = "b"
X = "x"
[defs]
both = "A & B"
[people]
ann = { name = "Ann" }
bob = { name = "Bob" }
[claims]
a1 = { by = "ann", event = "A", value = "~30%" }
"""
LINE = HEAD.count("\n") + 1  # of the first line added


def claim(body: str) -> str:
    return HEAD + f'bad = {{ by = "ann", {body} }}\n'


CLAIMS = {
    "over 100 percent": 'event = "A", value = "120%"',
    "over 1": 'event = "A", value = "1.2"',
    "negative": 'event = "A", value = "-5%"',
    "reversed range": 'event = "A", value = "80-20%"',
    "range and bound": 'event = "A", value = "<10-20%"',
    "range over 100": 'event = "A", value = "50-150%"',
    "unquoted number": 'event = "A", value = 0.5',
    "boolean value": 'event = "A", value = true',
    "list value": 'event = "A", value = ["50%"]',
    "date value": 'event = "A", value = 2020-08-18',
    "infinite": 'event = "A", value = "inf"',
    "not a number": 'event = "A", value = "nan%"',
    "unknown word": 'event = "A", value = "plausible"',
    "empty value": 'event = "A", value = ""',
    "huge digits": 'event = "A", value = "' + "9" * 900 + '%"',
    "no value": 'event = "A"',
    "no event": 'value = "50%"',
    "unknown atom": 'event = "Q", value = "50%"',
    "unknown atom in condition": 'event = "A", given = "Q & B", value = "50%"',
    "impossible condition": 'event = "A", given = "B & !B", value = "50%"',
    "impossible by definition": 'event = "A", given = "both & !A", value = "50%"',
    "dangling operator": 'event = "A &", value = "50%"',
    "unclosed bracket": 'event = "(A | B", value = "50%"',
    "two atoms in a row": 'event = "A B", value = "50%"',
    "empty event": 'event = "", value = "50%"',
    "a call": 'event = "__import__(\'os\')", value = "50%"',
    "a script": 'event = "<script>alert(1)</script>", value = "50%"',
    "event is a number": 'event = 3, value = "50%"',
    "deep brackets": 'event = "' + "(" * 900 + "A" + ")" * 900 + '", value = "50%"',
    "many negations": 'event = "' + "!" * 1500 + 'A", value = "50%"',
    "long event": 'event = "' + " & ".join(["A"] * 5000) + '", value = "50%"',
    "unknown field": 'event = "A", value = "50%", colour = "red"',
    "unknown kind": 'kind = "guess", event = "A", value = "50%"',
    "fraction of nobody": 'kind = "fraction", value = "50%"',
    "value where none belongs": 'kind = "trend", value = "50%"',
    "ambiguity of one": 'kind = "ambiguity", phrase = "p", events = ["A"]',
    "escape in the text": 'event = "A", value = "50%", text = "a\\u001b[31m"',
    "mass of two": 'event = "A", value = "~1-20%", mass = 2.0',
    "odd within": 'event = "A", value = "<10%", within = "normal"',
    "about nothing": 'event = "A", value = "50%", about = ["zz"]',
    "wording of unknown atom": 'event = "A", value = "50%", readings = { other = { event = "Q" } }',
    "wording that is text": 'event = "A", value = "50%", readings = "other"',
}
FILES = {
    "nobody's claim": HEAD + 'bad = { event = "A", value = "50%" }\n',
    "a stranger's claim": HEAD + 'bad = { by = "eve", event = "A", value = "50%" }\n',
    "claim is text": HEAD + 'bad = "A is 50%"\n',
    "claim name with spaces": HEAD + '"a b" = { by = "ann", event = "A", value = "50%" }\n',
    "claim twice": HEAD + 'a1 = { by = "ann", event = "B", value = "50%" }\n',
    "person twice": HEAD.replace("[claims]", 'ann = { name = "Other" }\n[claims]'),
    "two people of one name": HEAD.replace('"Bob"', '"Ann"'),
    "person without a name": HEAD.replace('{ name = "Bob" }', "{ }"),
    "odd attribution": HEAD.replace('{ name = "Bob" }', '{ name = "Bob", attribution = "sworn" }'),
    "no people": 'format = "mesascope-crux/1"\n[atoms]\nA = "a"\n',
    "no atoms": 'format = "mesascope-crux/1"\n[people]\nann = { name = "Ann" }\n',
    "no format": HEAD.replace('format = "mesascope-crux/1"\n', ""),
    "other format": HEAD.replace("crux/1", "crux/9"),
    "unknown table": HEAD + '[opinions]\nx = "y"\n',
    "broken TOML": HEAD + "[claims\n",
    "unclosed text": HEAD + 'bad = { by = "ann\n',
    "control characters": HEAD + "bad = \x00\x01\n",
    "control character in a name": HEAD + 'bad = { by = "a\x07nn" }\n',
    "empty file": "",
    "deep TOML": "a = " + "[" * 5000 + "]" * 5000,
    "long integer": "format = " + "9" * 20000,
    "atoms are a list": HEAD.replace('[atoms]\nA = "a"\nB = "b"\nX = "x"', 'atoms = ["A"]\n[other]'),
    "atom is a number": HEAD.replace('A = "a"', "A = 1"),
    "definition hides an atom": HEAD.replace("both =", "A ="),
    "definitions in a circle": HEAD.replace('both = "A & B"', 'p = "q | A"\nq = "r"\nr = "p & B"'),
    "definition of itself": HEAD.replace('both = "A & B"', 'both = "both & B"'),
    "definitions that explode": HEAD.replace(
        'both = "A & B"', 'd0 = "A & B"\n' + "\n".join(f'd{i} = "d{i - 1} & d{i - 1}"' for i in range(1, 30))
    ),
    "target unknown": HEAD.replace('target = "X"', 'target = "Y"'),
    "comparing a stranger": HEAD.replace('"ann", "bob"', '"ann", "eve"'),
    "impossible question": HEAD.replace('"bob"] }', '"bob"], given = { ann = "A & !A" } }'),
    "bridge for nobody": HEAD + '[bridges]\nb = { rule = "X <-> A" }\n',
    "bridge is a claim": HEAD + '[bridges]\na1 = { for = "ann", rule = "X <-> A" }\n',
    "bridge without a rule": HEAD + '[bridges]\nb = { for = "ann" }\n',
    "refusal of nothing": HEAD + '[[refusals]]\nby = "bob"\nreason = "no"\n',
    "refusal of an unknown claim": HEAD + '[[refusals]]\nby = "bob"\nof = ["zz"]\nreason = "no"\n',
    "refusal without a reason": HEAD + '[[refusals]]\nby = "bob"\nof = ["a1"]\n',
    "another's replacement": HEAD + '[[refusals]]\nby = "bob"\nof = ["a1"]\nreason = "no"\ninstead = "a1"\n',
    "refusals as a table": HEAD + '[refusals]\nby = "bob"\n',
    "question without an id": HEAD + '[[questions]]\nby = "ann"\nto = "bob"\nabout = "A"\nvia = "B"\n',
    "evidence of a stranger": HEAD + '[evidence]\ne = { about = "A", lr = { eve = "3" } }\n',
    "evidence about nothing": HEAD + '[evidence]\ne = { lr = { ann = "3" } }\n',
    "ratio of zero": HEAD + '[evidence]\ne = { about = "A", lr = { ann = "0" } }\n',
    "ratio reversed": HEAD + '[evidence]\ne = { about = "A", lr = { ann = "5-2" } }\n',
    "ratio in odd words": HEAD + '[evidence]\ne = { about = "A", lr = { ann = "quite some" } }\n',
    "one hypothesis": HEAD + '[evidence]\ne = { about = "A", hypotheses = { ann = { if_true = [8, 2] } } }\n',
    "negative Beta": HEAD
    + '[evidence]\ne = { about = "A", hypotheses = { ann = { if_true = [-1, 2], if_false = [2, 2] } } }\n',
    "measure of nothing": HEAD
    + '[measures]\nm = { feeds = "zz", placement = "acquiring", measured = "m", claimed = "c" }\n',
    "measure by no rung": HEAD
    + '[evidence]\ne = { about = "A" }\n[measures]\n'
    + 'm = { feeds = "e", placement = "smart", measured = "m", claimed = "c" }\n',
    "measure without its gap": HEAD
    + '[evidence]\ne = { about = "A" }\n[measures]\nm = { feeds = "e", placement = "acquiring" }\n',
    "split without parts": HEAD + '[splits]\ns = { target = "X" }\n',
    "split with two rests": HEAD
    + '[splits]\ns = { target = "X", parts = { a = "A", b = "B" }, '
    + 'assume = { ann = { a = "rest", b = "rest" } } }\n',
    "split that assumes a set": HEAD
    + '[splits]\ns = { target = "X", parts = { a = "A" }, assume = { ann = { a = "<10%" } } }\n',
    "filing under no split": HEAD + '[filings]\nf = { split = "zz", options = { } }\n',
    "bottom of a stranger": HEAD + '[bottom]\neve = { at = "low" }\n',
    "bottom at the top": HEAD + '[bottom]\nann = { at = "top" }\n',
}
TABLE = {**{k: claim(v) for k, v in CLAIMS.items()}, **FILES}


def test_there_are_at_least_sixty_cases():
    assert len(TABLE) >= 60


@pytest.mark.parametrize("name", TABLE)
def test_one_message_in_little_time(name, tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text(TABLE[name], encoding="utf-8")
    start = time.perf_counter()
    with pytest.raises(MesascopeError) as caught:
        cruxes.load(file)
    assert time.perf_counter() - start < 5
    error = caught.value
    assert error.problem.startswith("bad.toml: ")
    assert error.remedy
    assert len(str(error)) < 900
    assert all(c.isprintable() for c in str(error))
    if name in CLAIMS:
        assert f"line {LINE}: claim 'bad'" in error.problem
    elif "TOML" not in error.problem and name not in ("empty file", "no format"):
        assert "line " in error.problem


def test_what_cannot_be_read_as_text(tmp_path):
    for content in (b"\xff\xfe\x00format", b"\x80" * 50):
        (tmp_path / "bytes.toml").write_bytes(content)
        with pytest.raises(MesascopeError, match="UTF-8"):
            cruxes.load(tmp_path / "bytes.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    for path in (tmp_path / "large.toml", tmp_path, tmp_path / "missing.toml", "\0"):
        with pytest.raises(MesascopeError):
            cruxes.load(path)


def forty(rule: bool) -> str:
    """Forty atoms, each claimed given the one before."""
    names = [f"N{i}" for i in range(40)]
    text = 'format = "mesascope-crux/1"\nquery = { target = "N39", compare = ["ann"] }\n[atoms]\n'
    text += "".join(f'{n} = "{n}"\n' for n in names) + '[people]\nann = { name = "Ann" }\n[claims]\n'
    text += 'c0 = { by = "ann", event = "N0", value = "~80%" }\n'
    text += "".join(
        f'c{i} = {{ by = "ann", event = "N{i}", given = "N{i - 1}", value = "~90%" }}\n' for i in range(1, 40)
    )
    return text + (f'[bridges]\nb = {{ for = "ann", rule = "{" | ".join(names)}" }}\n' if rule else "")


@pytest.mark.parametrize("rule", [False, True])
def test_forty_atoms_are_refused_by_the_bounds(rule, tmp_path):
    file = tmp_path / "forty.toml"
    file.write_text(forty(rule))
    for verb in ("check", "answer", "voi", "gap"):
        start = time.perf_counter()
        result = CliRunner().invoke(app, [verb, str(file)])
        assert isinstance(result.exception, MesascopeError), result.output
        assert result.exception.remedy
        assert time.perf_counter() - start < 5


def test_forty_atoms_in_a_chain_have_an_answer_as_a_network(tmp_path):
    file = tmp_path / "forty.toml"
    file.write_text(forty(False))
    found = cruxes.load(file).answer("ann", "N39", "N38", engine="net")
    assert found.point == pytest.approx(0.9, abs=1e-12)


def test_the_whole_table_in_less_than_a_gigabyte(tmp_path):
    for i, text in enumerate([*TABLE.values(), forty(True)]):
        (tmp_path / f"{i}.toml").write_text(text, encoding="utf-8")
    program = """
        import resource, sys
        from pathlib import Path
        from typer.testing import CliRunner
        from mesascope.cruxes.commands import app
        from mesascope.errors import MesascopeError
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        for file in sorted(Path(sys.argv[1]).glob("*.toml")):
            result = CliRunner().invoke(app, ["check", str(file)])
            assert isinstance(result.exception, MesascopeError), (file, result.exception)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    peak = int(done.stdout) * (1 if sys.platform != "darwin" else 1 / 1024)
    assert peak < 1_000_000  # kilobytes


VALUES = [
    ["answer", "--person", "eve"],
    ["answer", "--target", "Q"],
    ["answer", "--target", "P &"],
    ["answer", "--engine", "magic"],
    ["answer", "--reading", "median"],
    ["answer", "--words", "yougov"],
    ["answer", "--plus-minus", "0.9"],
    ["answer", "--with", "b9"],
    ["answer", "--wording", "zz"],
    ["answer", "--person", "critic", "--engine", "net"],
    ["translate", "--event", "zz"],
    ["gap", "--between", "lister"],
    ["gap", "--between", "lister,eve"],
    ["gap", "--split", "zz"],
    ["gap", "--scale", "sqrt"],
    ["gap", "--method", "zz"],
    ["gap", "--group", "T,zz", "--method", "owen"],
    ["gap", "--split", "shared claims", "--method", "oat"],
    ["voi", "--base", "7"],
    ["voi", "--crux", "zz"],
    ["voi", "--engine", "zz", "--person", "eve"],
    ["vod", "--weights", "zz"],
    ["vod", "--form", "zz"],
    ["update", "--evidence", "zz"],
    ["update", "--evidence", "e4"],
    ["update", "--evidence", "e4", "--k", "9", "--n", "3"],
    ["update", "--evidence", "e1", "--k", "1", "--n", "3"],
    ["update", "--findings", "/nowhere"],
    ["pool", "--method", "zz"],
    ["pool", "--weights", "a,b"],
    ["pool", "--weights", "1"],
    ["pool", "--method", "extremised", "--base-rate", "1"],
    ["pool", "--person", "eve"],
    ["report", "--out", "/nowhere/page.html"],
    ["export", "--format", "zz"],
    ["export", "--format", "bif"],
    ["export", "--format", "bif", "--person", "critic"],
    ["import", "/nowhere.bif"],
]


@pytest.mark.parametrize("words", VALUES, ids=" ".join)
def test_values_on_the_command_line(words):
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, MesascopeError), (result.output, result.exception)
    assert result.exception.remedy
    assert result.output == ""
