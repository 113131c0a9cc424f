"""The rules of the argument: who said what is kept apart, silence is [0, 1], refusals stay out."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from mesascope import cruxes
from mesascope.cruxes.language import parse_event
from mesascope.cruxes.texts import describe_answer
from mesascope.errors import MesascopeError

from .fixtures import small


def test_silence_is_everything_and_no_error():
    argument = small()
    answer = argument.answer("cy", "X")
    assert (answer.status, answer.low, answer.high) == ("unstated", 0.0, 1.0)
    assert cruxes.load_thread().answer("author", "X").status == "unstated"
    assert argument.pool(["ann", "cy"], "X").excluded == {"cy": "states nothing about it: [0, 1]"}
    (moved,) = [u for u in cruxes.load_thread().update("e2") if u.person == "author"]
    assert (moved.status, moved.posterior) == ("cannot move", (0.0, 1.0))


REFUSAL = '[[refusals]]\nby = "bob"\nof = ["a2"]\nreason = "no such question"\ninstead = "b1"\n'


def test_a_refused_claim_never_enters_that_persons_answers_shares_or_pool():
    free, argument = small(), small(REFUSAL)
    assert free.answer("bob", "B", "A").status == "stated" or free.answer("bob", "B", "A").status == "bounded"
    for event in ("B", "!B"):
        answer = argument.answer("bob", event, "A")
        assert (answer.status, answer.low, answer.high) == ("refused", None, None)
        assert answer.refusal.offered_claim == "b1"
    assert {c.id for c in argument.list_claims("bob")} == {"b1"}
    pool = argument.pool(["ann", "bob"], "B", "A")
    assert set(pool.members) == {"ann"}
    assert "declines" in pool.excluded["bob"]
    assert (pool.low, pool.high) == pytest.approx((0.5, 0.5))
    parts = {p.name for p in argument.gap("ann", "bob").parts}
    assert parts == {"a1 / b1", "vocabulary, bridges and what only one of them states"}
    assert {p.name for p in free.gap("ann", "bob").parts} > {"a1 / b1", "a2 / b2"}
    assert argument.voi("bob", "B")[0].low is None
    assert argument.vod("ann", "bob", crux="B")[0].low is None
    assert [i.claims for i in argument.check() if "declines" in i.problem] == [("a2",), ("b2",), ("b3",)]


def test_a_split_on_a_refused_question_asks_for_the_rest():
    extra = REFUSAL + '[cuts]\ns = { target = "X", parts = { a = "A", b = "B" } }\n'
    with pytest.raises(MesascopeError, match="declines"):
        small(extra).gap("ann", "bob", cut="s")


def test_the_critic_never_says_anything_of_use():
    argument = cruxes.load_thread()
    for event in ("L", "S", "!L"):
        assert argument.answer("critic", event).status == "refused"
    for gap in argument.cuts().gaps:
        for part in gap.parts:
            if {"L", "S"} & parse_event(part.event).atoms:
                assert part.sources[1] == "rest"


def test_a_bridge_is_never_printed_as_a_claim():
    argument = cruxes.load_thread()
    bridges = set(argument.content.bridges)
    for person in argument.content.people:
        for answer in (argument.answer(person, "X"), argument.translate("fix_cheap", person=person)):
            assert not bridges & set(answer.claims)
            assert set(answer.claims) <= {c.id for c in argument.content.claims.values() if person in c.people}
            for line in describe_answer(answer):
                if line.strip().startswith("claims of"):
                    assert not bridges & set(line.replace(",", " ").split())
    assert any("bridges of the modeller: b0" in line for line in describe_answer(argument.answer("lister")))
    with pytest.raises(MesascopeError, match="never a claim"):
        small('a1 = { for = "ann", rule = "X <-> A" }\n')


def test_everything_is_inferred_and_the_thread_speaks_in_phrases():
    content = cruxes.load_thread().content
    assert {p.attribution for p in content.people.values()} == {"inferred"}
    assert set(content.people) == {"author", "lister", "critic"}
    assert all(len(c.text.split()) <= 20 for c in content.claims.values())
    rows = {
        "d1",
        "d2a",
        "d2b",
        "d3a",
        "d3b",
        "d3c",
        "d3d",
        "d4a",
        "d4b",
        "d4c",
        "r0",
        "r1",
        "r2",
        "r3b",
        "r4",
        "m1",
        "m2",
        "m3",
        "i1",
        "i2",
        "x1",
        "x2",
        "c1",
        "u2",
        "u3",
        "u8",
        "u9",
        "u5",
        "u6",
        "u7",
        "o1",
        "o2",
    }
    assert set(content.claims) == rows
    assert set(content.questions) == {"q1"}
    assert {len(r.claims) for r in content.refusals} == {1, 2}


def test_import_is_light_and_imports_nothing_above():
    program = (
        "import sys, mesascope.cruxes.argument, mesascope.cruxes.gaps, mesascope.cruxes.evidence;"
        "print(*sorted(m for m in sys.modules if m.startswith('mesascope.') and '.cruxes' not in m));"
        "print(*[m for m in ('matplotlib', 'jinja2', 'pandas', 'jax', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "mesascope.errors mesascope.guards mesascope.guards.secrecy mesascope.public",
        "",
    ]


def test_no_eval_and_no_print_in_the_library():
    folder = Path(cruxes.__file__).parent
    for file in folder.glob("*.py"):
        text = file.read_text()
        assert "eval(" not in text.replace("_eval(", "")
        assert "exec(" not in text
        assert "print(" not in text or file.name in ("commands.py", "options.py", "outputs.py")
        assert len(text.splitlines()) <= 400, file.name


def test_names_that_do_not_exist_say_what_there_is():
    with pytest.raises(AttributeError, match="load"):
        cruxes.lode  # noqa: B018
    with pytest.raises(AttributeError, match="pool"):
        small().pole  # noqa: B018
    for name in cruxes.__all__:
        assert getattr(cruxes, name) is not None


def test_settings_do_not_change_an_argument():
    argument = small()
    before = argument.answer("bob")
    other = argument.read(reading="set", reflective=True)
    assert other is not argument
    assert argument.answer("bob") == before
    assert argument.read(reading="centre") is argument
    with pytest.raises(MesascopeError, match="convention"):
        argument.read(colour="red")


def test_every_pair_of_engines_is_ordered_on_the_small_argument():
    argument = small().read(reading="set")
    for person, target in itertools.product(("ann", "bob"), ("X", "A", "B", "A | B")):
        wide, tight = argument.answer(person, target), argument.answer(person, target, engine="credal")
        assert wide.low - 1e-7 <= tight.low <= tight.high <= wide.high + 1e-7


@pytest.mark.parametrize("reading", ["centre", "set"])
def test_net_and_credal_are_one_engine(reading):
    argument = cruxes.load_thread(reading=reading, bridges=["b1"])
    net, credal = (argument.answer("lister", engine=engine) for engine in ("net", "credal"))
    assert (net.interval, net.status, net.assumptions) == (credal.interval, credal.status, credal.assumptions)
    assert (net.point is None) == (reading == "set")
