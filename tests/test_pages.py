"""README and docs are true: their Python runs, their commands exist, and what is shown is what is printed.

docs/agents.md, docs/cruxes.md, docs/logs.md and docs/adding.md have tests of their own beside what they describe.
"""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.cli import main
from mesascope.cli.main import run_command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
CONSOLE = {
    match.group(1): match.group(2)
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for match in re.finditer(r"^\$ (.*?)\n(.*?)(?=^\$ |\Z)", block, re.DOTALL | re.MULTILINE)
}
LINE = re.compile(
    r"^(?:\$ | {4})?(mesascope (?:examine|train|measure|reproduce|list|check|report|demo) .*)$", re.MULTILINE
)
COMMANDS = sorted(
    {
        (name, re.sub(r"\s+#.*", "", line))
        for name, text in PAGES.items()
        for line in LINE.findall(text.replace("\\\n", ""))
        if "…" not in line and "DIR" not in line.split()[1:2]
    }
)


def same(shown, printed):
    """Words equal, numbers within .02: the last digits differ between machines."""
    number = re.compile(r"-?\d*\.\d+|-?\d+")
    assert number.sub("#", shown).split() == number.sub("#", printed).split()
    for one, other in zip(number.findall(shown), number.findall(printed), strict=True):
        assert float(one) == pytest.approx(float(other), abs=0.021)


def run_blocks(text):
    """Runs a page's Python from top to bottom and compares what is printed with the text block that follows."""
    namespace = {}
    for code, _, shown in re.findall(r"```python\n(.*?)```(\s*```text\n(.*?)```)?", text, re.DOTALL):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "docs", "exec"), namespace)
        if shown:
            same(shown, printed.getvalue())


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_page_for_a_sceptic_is_short():
    without_figures = re.sub(r"(?ms)!\[[^\n]*|^\*\w.*?\*$|^#[^\n]*", "", PAGES["spectrum.md"])
    assert len(re.findall(r"[^\W\d_][\w'-]*", without_figures)) <= 600 and PAGES["spectrum.md"].count("![") == 2


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "python.md"])
def test_python_prints_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_blocks(PAGES[page])


@pytest.mark.slow
@pytest.mark.parametrize("page", ["pong.md"])
def test_python_that_takes_long_prints_what_is_shown(page, tmp_path, monkeypatch):
    pytest.importorskip("ale_py", reason="needs the extra 'atari'")
    monkeypatch.chdir(tmp_path)
    run_blocks(PAGES[page])


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in CONSOLE if line.startswith("mesascope")])
def test_readme_commands_print_what_is_shown(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert run_command(shlex.split(line)[1:]) == 0
    same(CONSOLE[line], capsys.readouterr().out)


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_of_the_docs_exist(page, line):
    """The command and its options parse; every name with settings that it holds can be made."""
    verb, *arguments = shlex.split(line)[1:]
    command = typer.main.get_command(main.app).commands[verb]  # type: ignore[attr-defined]
    given = command.make_context(verb, list(arguments), resilient_parsing=False).params
    family = catalogue.make("families", given["family"]) if given.get("family") else None
    for metric in ",".join(given.get("metrics") or ()).split(",") if given.get("metrics") else ():
        catalogue.make("metrics", metric)
    if verb == "examine" and family is not None:
        for subject in given["subjects"]:
            name = subject.partition(":")[0]
            if name in catalogue.list_names("subjects") and not {"path=", "factory="} & set(
                re.findall(r"\w+=", subject)
            ):
                open_subject(subject, family)
    if verb == "train":
        name, settings = catalogue.parse_spec(given["recipe"])
        catalogue.convert_settings(catalogue.get_factory("recipes", name), settings, name)
    if verb == "reproduce":
        assert given["study"] in catalogue.list_names("studies")


def test_there_are_commands_to_try():
    assert len(COMMANDS) > 25


def test_the_demo_placed_its_subjects_as_expected():
    findings = ROOT / "demo" / "findings.json"
    if not findings.is_file():
        pytest.skip("make demo has not been run here")
    levels = {
        s["subject"]: (s["placement"]["lowest"], s["placement"]["highest"])
        for s in json.loads(findings.read_text())["subjects"]
    }
    assert levels["recurrent:path=bank_of_four"] == ("locating", "locating")
    assert levels["locator"] == ("tracking", "locating")  # with this bank its benefit is .11 ± .02: near the bar
    assert levels["recurrent:path=memoryless"] == ("reactive", "reactive")
    assert levels["uniform"] == ("inert", "inert")
    assert levels["recurrent:path=unlimited"][0] == levels["thompson"][0] == "acquiring"
