"""A reader's own numbers: asked in the terminal and on a page; files written by asking; readings endorsed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mesascope import cruxes
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.commands import app
from mesascope.cruxes.options import EXAMPLES
from mesascope.cruxes.reader import (
    ask_reader,
    draft_argument,
    endorse_claims,
    list_questions,
    list_rival_hypotheses,
    render_questions,
)
from mesascope.errors import MesascopeError

from .fixtures import small

SIGHT = """[evidence]
s = { text = "a sight", about = "A", lr = { ann = "3" } }
[cuts.c]
target = "X"
form = "product"
parts = { a = "A", b = "B" }
"""


def answers(*texts: str):
    """A reader who gives these answers in turn and then leaves everything out."""
    queue, questions = list(texts), []

    def ask(question: str) -> str:
        questions.append(question)
        return queue.pop(0) if queue else ""

    return ask, questions


def test_own_numbers_give_an_own_bottom_line():
    said: list[str] = []
    ask, questions = answers("30%", "90%", "1 in 3", "30%", "50%")
    draft = ask_reader(small(SIGHT), ask, said.append)
    posterior = 0.3 * 0.9 / (0.3 * 0.9 + 0.7 / 3)
    assert said[0] == f"Your belief that a: {posterior:.3g} afterwards."
    assert said[-1] == "Your bottom line, x: 0.15."
    own = Argument(draft.write(), "mine.toml")
    assert set(own.content.people) == {"you"}
    assert all(c.people == ("you",) and c.is_endorsed for c in own.content.claims.values())
    (update,) = own.update("s")
    assert update.posterior == pytest.approx((posterior, posterior), rel=1e-5)
    assert own.answer("you", "B", "A").point == pytest.approx(0.5)
    assert "a sight" in questions[1]


def test_nothing_is_filled_in_and_nobody_elses_numbers_are_shown():
    ask, questions = answers()
    draft = ask_reader(cruxes.load_thread(), ask, lambda text: None)
    assert not draft.claims
    assert not draft.evidence
    numbers = re.compile(r"\d+\s*%|\b0?\.\d+")
    assert not any(numbers.search(q) for q in questions)
    page = render_questions(cruxes.load_thread())
    body = page[page.index("<body") : page.index("<script")]
    assert not numbers.search(body)
    assert "value=" not in body
    for name in ("lister", "critic", "author"):
        assert f"by {name}" not in body


def test_a_wrong_number_is_asked_again():
    said: list[str] = []
    ask, questions = answers("120%", "30%")
    draft = ask_reader(small(SIGHT), ask, said.append)
    assert draft.claims["belief_in_A"]["value"] == "30%"
    assert questions[0] == questions[1]
    assert "outside 0 to 1" in said[0]


def test_ask_and_init_at_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(small(SIGHT).text)
    result = CliRunner().invoke(app, ["ask", "own.toml", "--save", "mine.toml"], input="30%\n90%\n30%\n30%\n50%\n")
    assert result.exit_code == 0, result.exception
    assert "Your bottom line, x: 0.15." in result.stdout
    assert cruxes.load_argument("mine.toml").answer("you", "A").point == pytest.approx(0.3)
    lines = ["Rain", "Rain", "it rains", "ann", "looks like rain", "Rain", "", "~70%"]
    lines += ["bob", "not with this wind", "Rain", "Wind", "unlikely", "the wind blows", ""]
    result = CliRunner().invoke(app, ["init", "new.toml"], input="\n".join(lines) + "\n")
    assert result.exit_code == 0, result.exception
    argument = cruxes.load_argument("new.toml")
    assert argument.answer("ann").point == pytest.approx(0.7)
    assert argument.content.claims["ann1"].quote == "looks like rain"
    assert str(argument.content.claims["bob1"].condition) == "Wind"
    assert argument.content.atoms["Wind"] == "the wind blows"
    again = CliRunner().invoke(app, ["init", "new.toml"])
    assert isinstance(again.exception, MesascopeError)
    result = CliRunner().invoke(app, ["init", "new.toml", "--endorse", "ann1"])
    assert result.exit_code == 0, result.exception
    claims = cruxes.load_argument("new.toml").content.claims
    assert (claims["ann1"].is_endorsed, claims["bob1"].is_endorsed) == (True, False)


def test_endorsing_keeps_the_rest_of_the_file():
    text = endorse_claims(small().text + '[claims.z]\nby = "cy"\nevent = "A"\nvalue = "5%"\n', "x", ["a1", "z", "a1"])
    claims = Argument(text).content.claims
    assert [i for i, c in claims.items() if c.is_endorsed] == ["a1", "z"]
    assert text.replace(" endorsed = true,", "").replace("endorsed = true\n", "").startswith(small().text)
    with pytest.raises(MesascopeError, match="no claim 'zz'"):
        endorse_claims(small().text, "x", ["zz"])
    ask, _ = answers()
    with pytest.raises(MesascopeError, match="Nobody says anything"):
        draft_argument(ask, lambda text: None)


def test_every_example_has_questions_or_says_so():
    for file in sorted(EXAMPLES.glob("*.toml")):
        argument = cruxes.load_argument(file)
        if not argument.content.cuts and not argument.content.evidence:
            with pytest.raises(MesascopeError, match="nothing to ask about"):
                list_questions(argument)
            continue
        items, cut = list_questions(argument)
        assert (cut is not None) == bool(argument.content.cuts)
        rivals = list_rival_hypotheses(argument)
        n_observations = sum(len(r.observations) for r in rivals)
        assert len(items) + n_observations == len(argument.content.evidence)
        page = render_questions(argument)
        assert all(f'data-set="{r.name}"' in page for r in rivals)


RIVALS = """[hypotheses.cause]
of = ["A", "B", "X"]
[evidence]
s = { over = "cause", text = "a sight", likelihoods = { ann = { A = "1%", B = "2%", X = "3%" } } }
t = { over = "cause", text = "a sound", likelihoods = { ann = { A = "1%", B = "2%", X = "3%" } } }
u = { over = "cause", text = "a smell" }
[independence.both]
items = ["s", "t"]
discount = 0.5
why = "one witness"
"""
OWN_PRIOR, OWN_CHANCES = np.array([0.5, 0.3, 0.2]), np.array([[0.9, 0.3, 0.1], [0.6, 0.4, 0.4]])
OWN_POSTERIOR = OWN_PRIOR * np.prod(OWN_CHANCES**0.5, axis=0)
OWN_POSTERIOR /= OWN_POSTERIOR.sum()


def require_own_rivals(own: Argument) -> None:
    """Asserts that a saved file has the reader's numbers on the three hypotheses, and gives the same posterior."""
    assert set(own.content.people) == {"you"}
    (posterior,) = own.accumulate(["s", "t"])
    assert np.array(posterior.prior) == pytest.approx(np.column_stack([OWN_PRIOR] * 2), abs=1e-9)
    assert np.array(posterior.posterior) == pytest.approx(np.column_stack([OWN_POSTERIOR] * 2), abs=1e-9)


def test_a_reader_is_asked_about_several_hypotheses():
    said: list[str] = []
    numbers = ["50%", "30%", *(f"{100 * x:g}%" for x in OWN_CHANCES.ravel())]
    ask, questions = answers(*numbers)
    draft = ask_reader(small(RIVALS), ask, said.append)
    assert questions[0] == "How likely is it that a?"
    assert questions[2:5] == [f"If {h}, how likely would you expect to see this: a sight?" for h in "abx"]
    for text, before, after in zip("abx", OWN_PRIOR, OWN_POSTERIOR, strict=True):
        assert f"Your belief that {text}: {before:.3g} before, {after:.3g} afterwards." in said
    require_own_rivals(Argument(draft.write(), "mine.toml"))
    assert draft.independence["both"]["items"] == ["s", "t"]
    assert "u" not in draft.evidence  # left out by the reader

    said.clear()
    ask, _ = answers("80%", "40%", *numbers[2:])
    ask_reader(small(RIVALS), ask, said.append)
    assert "contradict each other" in said[-1]
    said.clear()
    ask, _ = answers(*numbers)
    ask_reader(small(RIVALS.partition("[independence")[0]), ask, said.append)
    assert "does not say whether 's' and 't' are independent" in said[-1]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TYPE = """<script>
const fill = (box, values) => { for (const [key, value] of Object.entries(values)) {
  const field = box.querySelector('input[data-key="' + key + '"]'); field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true })); } };
fill(document.querySelector('.ask[data-id="s"]'), { prior: 30, true: 90, false: 30 });
fill(document.querySelector("#bottom"), { part1: 30, part2: 50 });
const saved = document.createElement("pre"); saved.id = "saved";
saved.textContent = toText(); document.body.append(saved);
</script>"""


def run_page(page: str, script: str, folder: Path) -> str:
    """Opens a page with a script in Chromium without a network, and returns the page's HTML afterwards."""
    for outside in ("http://", "https://", "src=", "@import", "<link"):
        assert outside not in page
    (folder / "page.html").write_text(page.replace("</body>", script + "</body>"))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'user'}"]
    done = subprocess.run([*command, f"file://{folder / 'page.html'}"], capture_output=True, text=True, timeout=120)
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
def test_the_page_computes_offline_from_one_file(tmp_path):
    text = run_page(render_questions(small(SIGHT)), TYPE, tmp_path)
    posterior = 0.3 * 0.9 / (0.3 * 0.9 + 0.7 * 0.3)
    assert f"30 % before, {100 * posterior:.3g} % after (your likelihood ratio: 3" in text.replace("30.0", "30")
    assert "Your bottom line: 15" in text
    own = Argument(html.unescape(text.partition('id="saved">')[2].partition("</pre>")[0]), "mine.toml")
    assert own.answer("you", "B", "A").point == pytest.approx(0.5)
    (update,) = own.update("s")
    assert update.posterior == pytest.approx((posterior, posterior))


TYPE_RIVALS = """<script>
const box = document.querySelector('.ask[data-set="cause"]');
for (const [key, value] of Object.entries(NUMBERS)) {
  const field = box.querySelector('input[data-key="' + key + '"]'); field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true })); }
const saved = document.createElement("pre"); saved.id = "saved";
saved.textContent = toText(); document.body.append(saved);
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
def test_the_page_computes_with_several_hypotheses(tmp_path):
    numbers = {"prior0": 50, "prior1": 30}
    numbers |= {f"{item}:{i}": 100 * OWN_CHANCES[row, i] for row, item in enumerate("st") for i in range(3)}
    text = run_page(render_questions(small(RIVALS)), TYPE_RIVALS.replace("NUMBERS", json.dumps(numbers)), tmp_path)
    for name, after in zip("abx", OWN_POSTERIOR, strict=True):
        shown = re.search(rf"Your belief that {name}: [0-9.]+ % before, ([0-9.]+) % after", text)
        assert shown
        assert float(shown.group(1)) == pytest.approx(100 * after, rel=6e-3)
    require_own_rivals(Argument(html.unescape(text.partition('id="saved">')[2].partition("</pre>")[0]), "mine.toml"))
