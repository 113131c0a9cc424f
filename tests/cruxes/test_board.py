"""The rules of the board: who said what is kept apart, silence is [0, 1], refusals stay out."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mesascope import cruxes
from mesascope.cruxes import evidence, information, interchange, measured, readings, sensitivity
from mesascope.cruxes.board import Board
from mesascope.cruxes.language import parse
from mesascope.cruxes.texts import tell_answer, tell_gap, tell_issues, tell_pool
from mesascope.errors import MesascopeError

SMALL = """format = "mesascope-crux/1"
query = { target = "X", compare = ["ann", "bob"] }
[atoms]
A = "a"
B = "b"
X = "x"
[people]
ann = { name = "Ann" }
bob = { name = "Bob" }
cy = { name = "Cy" }
[claims]
a1 = { by = "ann", event = "A", value = "30%" }
a2 = { by = "ann", event = "B", given = "A", value = "~50%" }
b1 = { by = "bob", event = "A", value = "70%" }
b2 = { by = "bob", event = "B", given = "A", value = "20-40%" }
b3 = { by = "bob", event = "B", given = "!A", value = "10%" }
[bridges]
r1 = { for = ["ann", "bob"], rule = "X <-> (A & B)" }
"""


def small(extra: str = "", **changes: str) -> Board:
    text = SMALL
    for old, new in changes.items():
        text = text.replace(old, new)
    return Board(text + extra, "small.toml")


# silence, refusals, bridges


def test_silence_is_everything_and_no_error():
    board = small()
    answer = board.answer("cy", "X")
    assert (answer.status, answer.low, answer.high) == ("unstated", 0.0, 1.0)
    assert cruxes.default().answer("author", "X").status == "unstated"
    assert board.pool(["ann", "cy"], "X").excluded == {"cy": "says nothing on it: [0, 1]"}
    (moved,) = [u for u in cruxes.default().update("e2") if u.person == "author"]
    assert (moved.status, moved.posterior) == ("cannot move", (0.0, 1.0))


REFUSAL = '[[refusals]]\nby = "bob"\nof = ["a2"]\nreason = "no such question"\ninstead = "b1"\n'


def test_a_refused_claim_never_enters_that_persons_answers_shares_or_pool():
    free, board = small(), small(REFUSAL)
    assert free.answer("bob", "B", "A").status == "stated" or free.answer("bob", "B", "A").status == "bounded"
    for event in ("B", "!B"):
        answer = board.answer("bob", event, "A")
        assert (answer.status, answer.low, answer.high) == ("refused", None, None)
        assert answer.refusal.instead == "b1"
    assert {c.id for c in board.numeric_claims("bob")} == {"b1"}
    pool = board.pool(["ann", "bob"], "B", "A")
    assert set(pool.members) == {"ann"}
    assert "declines" in pool.excluded["bob"]
    assert (pool.low, pool.high) == pytest.approx((0.5, 0.5))
    parts = {p.name for p in board.gap("ann", "bob").parts}
    assert parts == {"a1 / b1", "vocabulary, bridges and what only one of them states"}
    assert {p.name for p in free.gap("ann", "bob").parts} > {"a1 / b1", "a2 / b2"}
    assert board.voi("bob", "B")[0].low is None
    assert board.vod("ann", "bob", crux="B")[0].low is None
    assert [i.claims for i in board.check() if "declines" in i.says] == [("a2",), ("b2",), ("b3",)]


def test_a_split_on_a_refused_question_asks_for_the_rest():
    extra = REFUSAL + '[splits]\ns = { target = "X", parts = { a = "A", b = "B" } }\n'
    with pytest.raises(MesascopeError, match="declines"):
        small(extra).gap("ann", "bob", split="s")


def test_the_critic_never_says_anything_of_use():
    board = cruxes.default()
    for event in ("L", "S", "!L"):
        assert board.answer("critic", event).status == "refused"
    for gap in board.splits().gaps:
        for part in gap.parts:
            if {"L", "S"} & parse(part.event).atoms():
                assert part.sources[1] == "rest"


def test_a_bridge_is_never_printed_as_a_claim():
    board = cruxes.default()
    bridges = set(board.content.bridges)
    for person in board.content.people:
        for answer in (board.answer(person, "X"), board.translate("fix_cheap", to=person)):
            assert not bridges & set(answer.claims)
            assert set(answer.claims) <= {c.id for c in board.content.claims.values() if person in c.by}
            for line in tell_answer(answer):
                if line.strip().startswith("claims of"):
                    assert not bridges & set(line.replace(",", " ").split())
    assert any("bridges of the modeller: b1" in line for line in tell_answer(board.answer("lister")))
    with pytest.raises(MesascopeError, match="never a claim"):
        small('a1 = { for = "ann", rule = "X <-> A" }\n')


def test_everything_is_inferred_and_the_thread_speaks_in_phrases():
    content = cruxes.default().content
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
        "u3",
        "u5",
        "u6",
        "u7",
        "o1",
        "o2",
    }
    assert set(content.claims) == rows
    assert set(content.questions) == {"q1"}
    assert {len(r.of) for r in content.refusals} == {1, 2}


# coherence


def test_the_thread_has_warnings_and_no_contradiction():
    issues = cruxes.default().check()
    assert not any(i.error for i in issues)
    assert {"ambiguous", "scope", "presupposition", "fraction", "word", "refused", "question"} <= {
        i.kind for i in issues
    }


def test_a_clash_is_named_with_its_bridge():
    board = small(**{"a1 = {": 'a0 = { by = "ann", event = "X", value = "60%" }\na1 = {'})
    clashes = [i for i in board.check() if i.error]
    assert clashes
    assert all(i.people == ("ann",) for i in clashes)
    assert {frozenset(i.claims) for i in clashes} == {frozenset({"a0", "a1"}), frozenset({"a0", "a2"})}
    assert clashes[0].bridges == ("r1",)
    assert "a0 alone to within [0" in clashes[0].fix
    assert any(line.startswith("ERROR incoherent (ann)") for line in tell_issues(board.check()))
    assert board.answer("ann", "X").status == "incoherent"
    assert board.answer("ann", "X").low is None


def test_shares_of_one_population_may_not_exceed_it():
    extra = """f1 = { by = "ann", kind = "fraction", of = "m", population = "all", value = "60-90%" }
f2 = { by = "ann", kind = "fraction", of = "p", population = "all", value = "50-80%" }
"""
    text = SMALL.replace("[bridges]", extra + "[bridges]")
    (issue,) = [i for i in Board(text).check() if i.error]
    assert set(issue.claims) == {"f1", "f2"}
    assert "0.1" in issue.fix
    sound = Board(text.replace("60-90", "20-90"))
    assert not any(i.error for i in sound.check())
    assert sound.answer("ann", "X") == small().answer("ann", "X")  # shares enter no chain


def test_a_condition_that_cannot_happen_is_flagged_and_undefined():
    board = small(**{'value = "30%"': 'value = "0%"'})
    assert [i.claims for i in board.check() if i.kind == "impossible_given"] == [("a2",)]
    for engine in ("lp", "net"):
        assert board.answer("ann", "B", "A", engine=engine).status == "undefined"


def test_number_and_word():
    fits = readings.fits_scales
    assert fits(readings.read_value("~10%"), "very unlikely") == {"ipcc": True, "icd": True}
    assert fits(readings.read_value("~90%"), "very likely") == {"ipcc": True, "icd": True}
    assert fits(readings.read_value("~15%"), "fairly unlikely") == {"ipcc": True, "icd": False}


@pytest.mark.parametrize(
    ("word", "span"),
    [
        ("likely", (0.55, 1)),
        ("unlikely", (0, 0.45)),
        ("very unlikely", (0, 0.20)),
        ("probably", (0.5, 1)),
        ("<10%", (0, 0.10)),
        ("~1-20%", (0.01, 0.20)),
        ("~10%", (0.05, 0.15)),
        ("10%", (0.10, 0.10)),
        ("~2%", (0, 0.07)),
    ],
)
def test_words_and_numbers_as_sets(word, span):
    assert readings.read_value(word).span("set") == pytest.approx(span)


def test_a_bound_has_no_distribution_unless_asked_for():
    assert readings.read_value("<10%").beta() is None
    assert readings.read_value("<10%", within="uniform").mass == 1.0
    assert readings.read_value("likely").beta() is None


@pytest.mark.parametrize(
    ("said", "span"),
    [
        ("~zero evidence", (1 / 1.1, 1.1)),
        ("small amount", (1.1, 3)),
        ("significant", (3, 20)),
        ("2-5", (2, 5)),
        (4, (4, 4)),
    ],
)
def test_evidence_words_are_sets(said, span):
    assert readings.read_ratio(said) == pytest.approx(span)


# gap and influence


def test_a_gap_by_shared_claims_adds_up():
    board = small()
    gap = board.gap("ann", "bob")
    a, b = (board.answer(p) for p in ("ann", "bob"))
    assert gap.ends == pytest.approx(((a.low + a.high) / 2, (b.low + b.high) / 2), abs=1e-9)
    assert sum(p.share for p in gap.parts) == pytest.approx(gap.ends[1] - gap.ends[0], abs=1e-12)
    assert gap.ends == pytest.approx((0.15, 0.21), abs=1e-9)  # 0.3·0.5 and 0.7·0.3
    shares = {p.name: p.share for p in gap.parts}
    assert shares["a1 / b1"] == pytest.approx((0.7 - 0.3) * (0.5 + 0.3) / 2, abs=1e-9)
    assert shares["a2 / b2"] == pytest.approx((0.3 - 0.5) * (0.3 + 0.7) / 2, abs=1e-9)
    assert any("sum" in line for line in tell_gap(board.splits()))


def test_voi_of_a_person_by_hand():
    (value,) = small().voi("ann", "A")
    assert value.engine == "net"
    assert value.low == pytest.approx(information.value_information(0.15, 0.5, 0.3), abs=1e-12)


def test_voi_without_a_network_is_a_range_that_holds_the_network():
    board = small()
    (free,) = board.voi("ann", "A", engine="lp")
    (point,) = board.voi("ann", "A", engine="net")
    assert free.low - 1e-6 <= point.low <= free.high + 1e-6


def test_vod_can_be_negative_and_is_not_clipped():
    text = (
        SMALL.replace('given = "A", value = "~50%"', 'given = "A", value = "90%"')
        .replace('value = "20-40%"', 'value = "40%"')
        .replace("X <-> (A & B)", "X <-> B")
        .replace("b1 = {", 'a3 = { by = "ann", event = "B", given = "!A", value = "2%" }\nb1 = {')
    )
    (value,) = Board(text).vod("ann", "bob", crux="A")
    a, b = (0.3 * 0.9 + 0.7 * 0.02, 0.9, 0.3), (0.7 * 0.4 + 0.3 * 0.1, 0.4, 0.7)
    assert value.low == value.high == pytest.approx(information.value_discrimination(a, b), abs=1e-12)
    assert value.low < 0


def test_evppi_by_draws():
    betas, cost = [(3.0, 5.0), (6.0, 2.0), (2.0, 9.0)], 0.06
    exact = sensitivity.value_partial_product(betas, cost)
    rng = np.random.default_rng(1)
    means = np.array([a / (a + b) for a, b in betas])
    for i, (a, b) in enumerate(betas):
        y = rng.beta(a, b, 400_000) * np.delete(means, i).prod()
        assert exact[i] == pytest.approx(np.maximum(-cost, -y).mean() + min(cost, means.prod()), abs=3e-4)
    draws = np.prod([rng.beta(a, b, 400_000) for a, b in betas], axis=0)
    assert sensitivity.value_perfect(draws, cost) >= exact.max() - 3e-4


def test_which_claim_matters_for_the_lister():
    weights, whole, notes = cruxes.default().sensitivity("lister", cost=0.992, n=2**10)
    assert weights[0].claim == "d3d"
    assert sum(w.first for w in weights) <= 1.02
    assert whole > 0
    assert all(w.partial >= 0 for w in weights)
    assert any("independent" in n for n in notes)


def test_pool_reports_a_veto_and_different_questions():
    pool = cruxes.default().pool()
    assert pool.low == 0
    assert pool.vetoes == ("critic at the lower end",)
    assert any("different questions" in w for w in pool.warnings)
    assert any("veto" in line for line in tell_pool(pool))
    assert cruxes.default().pool(["lister"], method="linear").low == pytest.approx(0.9865)


# evidence

COUNTED = """[evidence]
e = { text = "runs", about = "A", hypotheses = { ann = { if_true = [8, 2], if_false = [2, 8] } } }
s = { text = "one sight", about = "A", lr = { ann = "3" }, lr_against = { ann = "1-2" } }
[measures]
m = { feeds = "e", placement = "acquiring", measured = "small networks", claimed = "large ones" }
p = { feeds = "s", probe = "acquired_late", above = 0.05, counts = "subject", measured = "s", claimed = "l" }
"""


def test_k_of_n_moves_only_whoever_gave_hypotheses():
    updates = {u.person: u for u in small(COUNTED).update("e", k=7, n=10)}
    ratio = evidence.weigh_count(7, 10, (8, 2), (2, 8))
    assert updates["ann"].ratio == (ratio, ratio)
    odds = 0.3 / 0.7 * ratio
    assert updates["ann"].posterior == pytest.approx((odds / (1 + odds),) * 2)
    assert updates["ann"].shift[0] == pytest.approx(np.log(ratio))
    before, after = updates["ann"].target
    assert after[0] > before[0]
    for other in ("bob", "cy"):
        assert updates[other].status == "asked"
        assert updates[other].posterior is None
        assert "hypotheses" in updates[other].reason


def test_the_target_moves_by_exact_bounds():
    (moved,) = [u for u in small(COUNTED).update("s") if u.person == "ann"]
    posterior = 0.3 * 3 / (0.3 * 3 + 0.7)
    assert moved.posterior == pytest.approx((posterior, posterior))
    assert moved.target[1] == pytest.approx((posterior * 0.5, posterior * 0.5), abs=1e-9)


def test_an_open_question_asks_for_what_only_that_person_can_say():
    (asked,) = cruxes.default().update("q1")
    assert (asked.person, asked.status) == ("author", "asked")
    assert "P(M | I)" in asked.reason
    text = cruxes.default().text.replace(
        "u3 = {",
        'j1 = { by = "author", event = "M", given = "I", value = "80%" }\n'
        'j2 = { by = "author", event = "M", given = "!I", value = "30%" }\nu3 = {',
    )
    (moved,) = Board(text).update("q1", to="60%")
    assert moved.posterior == pytest.approx((0.6, 0.6))
    assert moved.prior == pytest.approx((0.3, 0.4))  # under P(I) in [0, .20]
    assert "valid only if" in moved.reason


def finding(subject: str, fingerprint: str, low: float = 0.2, status: str = "measured") -> dict:
    return {
        "format": "mesascope-finding/1",
        "probe": "acquired_late",
        "question": "q?",
        "subject": subject,
        "fingerprint": fingerprint,
        "family": "bernoulli_bandit",
        "ring": "fresh",
        "settings": {},
        "estimate": low + 0.1,
        "low": low,
        "high": low + 0.2,
        "confidence": 0.95,
        "n": 64,
        "unit": "lifetime",
        "null": 0.0,
        "status": status,
        "reason": "",
        "controls": {},
        "made": {"commit": "c", "versions": {}, "key": 1, "when": "2026"},
    }


def subject(name: str, fingerprint: str, lowest: str, highest: str, low: float = 0.2) -> dict:
    level = lowest if lowest == highest else "undetermined"
    return {
        "subject": name,
        "family": "bernoulli_bandit",
        "findings": [finding(name, fingerprint, low)],
        "placement": {
            "level": level,
            "lowest": lowest,
            "highest": highest,
            "direction": "for",
            "probability": {lowest: 1.0},
            "numbers": {},
            "reason": "r",
        },
    }


def write_findings(folder: Path, data: object) -> Path:
    (folder / "findings.json").write_text(json.dumps(data))
    return folder


def test_findings_are_counted_by_the_rule(tmp_path):
    data = {
        "subjects": [
            subject("s1", "f1", "acquiring", "acquiring"),
            subject("s2", "f2", "general", "general"),
            subject("s3", "f3", "acquiring", "general"),
            subject("s4", "f4", "locating", "locating", -0.3),
            subject("s5", "f5", "locating", "general", 0.0),
            subject("again", "f1", "acquiring", "acquiring"),
        ]
    }
    tally, probe = small(COUNTED).update_from(write_findings(tmp_path, data))
    assert (tally.k, tally.n) == (3, 4)  # f5 undetermined and left out, f1 counted once
    assert {u.name: u.verdict for u in tally.units}["f5"] == "undetermined"
    assert tally.gap == "measured: small networks; claimed: large ones"
    (ann,) = [u for u in tally.updates if u.person == "ann"]
    assert ann.ratio[0] == pytest.approx(evidence.weigh_count(3, 4, (8, 2), (2, 8)))
    assert (probe.k, probe.n, probe.updates) == (4, 5, ())  # mixed: a single observation has no ratio
    strict = COUNTED.replace(
        'placement = "acquiring",', 'placement = "acquiring", undetermined = "count as not",'
    )
    assert small(strict).update_from(tmp_path)[0].n == 5


def test_a_bare_list_of_findings_and_what_does_not_count(tmp_path):
    data = [finding("s1", "f1"), finding("s2", "f2", 0.3), finding("s3", "f3", status="failed")]
    placement, probe = small(COUNTED).update_from(write_findings(tmp_path, data))
    assert (placement.k, placement.n, placement.updates) == (None, None, ())
    assert (probe.k, probe.n) == (2, 2)
    assert [u.status for u in probe.updates] == ["moved", "asked", "asked"]
    (only,) = small(COUNTED).update_from(tmp_path / "findings.json", "p")
    assert only.measure == "p"


def test_the_thread_asks_everybody_for_their_ratio(tmp_path):
    data = {"subjects": [subject(f"s{i}", f"f{i}", "acquiring", "acquiring") for i in range(3)]}
    board = cruxes.default()
    (tally,) = board.update_from(write_findings(tmp_path, data))
    assert (tally.k, tally.n) == (3, 3)
    assert {u.status for u in tally.updates} == {"asked"}
    assert "large networks" in tally.gap
    assert "large networks" in board.html(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[1]",
        '{"subjects": 3}',
        '{"subjects": [{"subject": "s"}]}',
        "[{}]",
        "null",
        '[{"format": "mesascope-finding/9"}]',
        "[" * 3000,
    ],
)
def test_findings_that_are_none(data, tmp_path):
    (tmp_path / "findings.json").write_text(data)
    with pytest.raises(MesascopeError):
        small(COUNTED).update_from(tmp_path)
    with pytest.raises(MesascopeError):
        measured.read_findings(tmp_path / "nowhere")


# interchange


def test_fri_columns_out_and_in():
    rows = interchange.read_triads(small().to_fri_csv())
    assert {(r.person, r.crux) for r in rows} >= {("ann", "A"), ("bob", "A")} - {("bob", "A")}
    ann = next(r for r in rows if (r.person, r.crux) == ("ann", "A"))
    assert (ann.pu, ann.pc, ann.puc) == pytest.approx((0.15, 0.3, 0.5))
    text = "person,Camp,ID,PU,Pc,PUc\na,x,c1,.005,.035,.05\nb,y,c1,.09,.12,.25\nc,x,c2,.05,.1,.8\n"
    values = {
        (v["crux"], *v["people"]): v["value"] for v in interchange.value_triads(interchange.read_triads(text))
    }
    assert values["c1", "a", "b"] == pytest.approx(0.0185876582054, rel=1e-10)
    assert values["c2", "c"] is None
    for bad in (
        "a,b\n1,2\n",
        "person,Camp,ID,PU,Pc,PUc\n",
        "person,Camp,ID,PU,Pc,PUc\na,x,c,1.5,.1,.1\n",
        "",
    ):
        with pytest.raises(MesascopeError):
            interchange.read_triads(bad)


def test_a_persons_network_as_bif_answers_the_same():
    board = cruxes.default()
    text = board.to_bif("lister")
    assert "not stated" in text
    net = cruxes.read_bif(text)
    joint = net.ask(["X", "P"])
    assert joint[1, 1] / joint[:, 1].sum() == pytest.approx(0.9922375, abs=1e-12)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "network x {",
        "variable a { type discrete [2] { y, n }; }",
        "hello",
        "probability ( a ) { table 1; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table 0.7, 0.7; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table x, y; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table 0.5; }",
        "variable a { type discrete [2] { y, n }; } probability ( a | b ) { table 0.5, 0.5; }",
        "variable a { type discrete [2] { y, y }; } probability ( a ) { table 0.5, 0.5; }",
    ],
)
def test_bif_that_is_none(bad):
    with pytest.raises(MesascopeError):
        cruxes.read_bif(bad)


# the package


def test_import_is_light_and_imports_nothing_above():
    program = (
        "import sys, mesascope.cruxes.board, mesascope.cruxes.gaps, mesascope.cruxes.evidence;"
        "print(*sorted(m for m in sys.modules if m.startswith('mesascope.') and '.cruxes' not in m));"
        "print(*[m for m in ('matplotlib', 'jinja2', 'pandas', 'jax', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["mesascope.errors", ""]


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


def test_settings_do_not_change_a_board():
    board = small()
    before = board.answer("bob")
    other = board.read(reading="set", reflective=True)
    assert other is not board
    assert board.answer("bob") == before
    assert board.read(reading="centre") is board
    with pytest.raises(MesascopeError, match="convention"):
        board.read(colour="red")


def test_every_pair_of_engines_is_ordered_on_the_small_board():
    board = small().read(reading="set")
    for person, target in itertools.product(("ann", "bob"), ("X", "A", "B", "A | B")):
        wide, tight = board.answer(person, target), board.answer(person, target, engine="credal")
        assert wide.low - 1e-7 <= tight.low <= tight.high <= wide.high + 1e-7


def test_a_crux_with_three_states_by_hand():
    board = cruxes.default()
    (value,) = board.voi("lister", "T & C; T & !C; !T")
    by_hand = information.value_information_states([1 - 0.5175, 1, 1], [0.015, 0.135, 0.85])
    assert value.low == pytest.approx(by_hand, abs=1e-12)
    for bad in ("T; C", "T & C; T & !C"):
        with pytest.raises(MesascopeError, match="overlap or leave"):
            board.voi("lister", bad)


def test_a_gap_under_another_wording():
    board = cruxes.default(wordings=["not conditional on a fix"])
    (gap,) = board.splits(split="lister").gaps
    assert gap.ends[0] == pytest.approx(0.94825, abs=1e-9)
    assert gap.parts[1].values[0] == pytest.approx(0.1 / 0.15 * 0.5175, abs=1e-9)


def test_there_is_no_gap_to_somebody_who_says_nothing():
    with pytest.raises(MesascopeError, match="cy says bounds X"):
        small().gap("ann", "cy")
