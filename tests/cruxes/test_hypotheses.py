"""Evidence accumulates: several hypotheses, several items, sets, counts, dependence and transfer."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from mesascope.cruxes import evidence, information, readings
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.commands import app
from mesascope.cruxes.hypotheses import list_prior_vertices, rank_ratios
from mesascope.errors import MesascopeError

from .fixtures import small

DISPUTE = """format = "mesascope-crux/1"
query = { target = "Wind", compare = ["ann", "bob"] }
[atoms]
Wind = "wind"
Rain = "rain"
Frost = "frost"
[people]
ann = { name = "Ann" }
bob = { name = "Bob" }
[claims]
a1 = { by = "ann", event = "Wind", value = "50%" }
a2 = { by = "ann", event = "Rain", value = "30%" }
a3 = { by = "ann", event = "Frost", value = "20%" }
b1 = { by = "bob", event = "Wind", value = "20-40%" }
b2 = { by = "bob", event = "Rain", value = "30-50%" }
[hypotheses.cause]
of = ["Wind", "Rain", "Frost"]
[evidence.e1]
over = "cause"
likelihoods.ann = { Wind = "80%", Rain = 0.1, Frost = "1/4" }
likelihoods.bob = { Wind = "50%", Rain = "20-40%", Frost = "50%" }
[evidence.e2]
over = "cause"
likelihoods.ann = { Wind = "60%", Rain = "60%", Frost = "10%" }
[evidence.e3]
over = "cause"
observed = [3, 10]
likelihoods.ann = { Wind = [2, 8], Rain = [5, 5], Frost = [8, 2] }
[evidence.e4]
over = "cause"
likelihoods.ann = { Wind = "5%", Rain = "20%", Frost = "40%" }
[independence]
all = { items = ["e1", "e2", "e3", "e4"], discount = 1, why = "four instruments" }
"""
ITEMS = ["e1", "e2", "e3", "e4"]
TABLE = np.array([[0.8, 0.1, 0.25], [0.6, 0.6, 0.1], [np.nan] * 3, [0.05, 0.2, 0.4]])


def beta_binomial(a: float, b: float) -> float:
    return evidence.find_count_ratio(3, 10, (a, b), (1, 1)) / 11  # under Beta(1, 1) every count has the chance 1/11


def exact(items, prior=(0.5, 0.3, 0.2), powers=None) -> np.ndarray:
    table = TABLE.copy()
    table[2] = [beta_binomial(2, 8), beta_binomial(5, 5), beta_binomial(8, 2)]
    powers = powers or [1.0] * len(items)
    rows = [table[ITEMS.index(item)] ** power for item, power in zip(items, powers, strict=True)]
    weights = np.array(prior) * np.prod(rows, axis=0)
    return weights / weights.sum()


def test_three_states_and_four_items_by_hand():
    for n in (1, 2, 3, 4):
        ann, bob = Argument(DISPUTE).accumulate(ITEMS[:n])
        assert [p[0] for p in ann.posterior] == pytest.approx(exact(ITEMS[:n]), abs=1e-12)
        assert all(high - low < 1e-12 for low, high in ann.posterior)
        assert ("e2" in bob.reason) == (n > 1)  # bob states nothing for it: it is left out and asked for


def test_three_states_and_four_items_by_pyagrum():
    gum = pytest.importorskip("pyagrum")
    net = gum.BayesNet()
    net.add(gum.LabelizedVariable("cause", "", ["Wind", "Rain", "Frost"]))
    net.cpt("cause").fillWith([0.5, 0.3, 0.2])
    table = TABLE.copy()
    table[2] = [beta_binomial(2, 8), beta_binomial(5, 5), beta_binomial(8, 2)]
    for item, row in zip(ITEMS, table, strict=True):
        net.add(gum.LabelizedVariable(item, "", ["no", "yes"]))
        net.addArc("cause", item)
        for state, p in enumerate(row):
            net.cpt(item)[{"cause": state}] = [1 - p, p]
    inference = gum.LazyPropagation(net)
    inference.setEvidence(dict.fromkeys(ITEMS, "yes"))
    inference.makeInference()
    (ann, _) = Argument(DISPUTE).accumulate(ITEMS)
    assert [p[0] for p in ann.posterior] == pytest.approx(inference.posterior("cause").toarray(), abs=1e-12)


def test_sets_give_the_extremes_of_all_points_inside():
    (bob,) = [p for p in Argument(DISPUTE).accumulate(["e1"]) if p.person == "bob"]
    assert bob.prior == ((0.2, 0.4), (0.3, 0.5), (pytest.approx(0.1), pytest.approx(0.5)))
    rng = np.random.default_rng(0)
    priors = np.stack([rng.uniform(0.2, 0.4, 200_000), rng.uniform(0.3, 0.5, 200_000)])
    priors = np.vstack([priors, 1 - priors.sum(0)])
    weights = priors * np.stack([np.full(200_000, 0.5), rng.uniform(0.2, 0.4, 200_000), np.full(200_000, 0.5)])
    sampled = weights / weights.sum(0)
    for row, (low, high) in zip(sampled, bob.posterior, strict=True):
        assert low - 1e-12 <= row.min() < low + 0.01
        assert high - 0.01 < row.max() <= high + 1e-12
    assert len(list_prior_vertices(np.array([[0.0, 0.1], [0.0, 0.1], [0.0, 0.1]]))) == 0


def test_dependence_must_be_stated_and_correlated_items_are_discounted():
    unsaid = DISPUTE.replace('items = ["e1", "e2", "e3", "e4"]', 'items = ["e1", "e2"]')
    with pytest.raises(MesascopeError, match="does not say whether 'e1' and 'e3' are independent"):
        Argument(unsaid).accumulate(["e1", "e3"])
    half = DISPUTE.replace("discount = 1,", "discount = 0.5,")
    (ann, _) = Argument(half).accumulate(["e1", "e2"])
    assert [p[0] for p in ann.posterior] == pytest.approx(exact(["e1", "e2"], powers=[0.5, 0.5]), abs=1e-12)
    (alone, _) = Argument(half).accumulate(["e1"])
    assert [p[0] for p in alone.posterior] == pytest.approx(exact(["e1"]), abs=1e-12)
    assert alone.items[0].exponent == 1


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
def test_each_person_discounts_the_transfer_by_an_own_number(power):
    text = DISPUTE.replace("[evidence.e1]", f"[evidence.e1]\ntransfer = {{ ann = {power} }}")
    ann, bob = Argument(text).accumulate(["e1"])
    assert [p[0] for p in ann.posterior] == pytest.approx(exact(["e1"], powers=[power]), abs=1e-12)
    assert bob.items[0].exponent == 1
    extra = f'[evidence]\ns = {{ about = "A", lr = {{ ann = "3" }}, transfer = {{ ann = {power} }} }}\n'
    (moved,) = [u for u in small(extra).update("s") if u.person == "ann"]
    odds = 3 / 7 * 3**power
    assert moved.posterior == pytest.approx((odds / (1 + odds),) * 2)


def test_whose_ratio_moves_the_answer_most():
    text = DISPUTE.replace(
        'b1 = { by = "bob", event = "Wind", value = "20-40%" }', 'b1 = { by = "bob", event = "Wind", value = "20%" }'
    )
    text = text.replace('value = "30-50%"', 'value = "50%"').replace('Rain = "20-40%"', 'Rain = "30%"')
    text = text.replace(
        "[evidence.e2]", '[evidence.e2]\nlikelihoods.bob = { Wind = "90%", Rain = "5%", Frost = "90%" }'
    )
    shares, ends = rank_ratios(Argument(text), "ann", "bob", ["e1", "e2"], "Wind")
    gap = np.log(ends[1] / (1 - ends[1])) - np.log(ends[0] / (1 - ends[0]))
    assert sum(s.share for s in shares) == pytest.approx(gap, abs=1e-12)
    assert ends[0] == pytest.approx(exact(["e1", "e2"])[0])
    assert shares[0].name == max(shares, key=lambda s: abs(s.share)).name
    with pytest.raises(MesascopeError, match="are a set"):
        rank_ratios(Argument(DISPUTE), "ann", "bob", ["e1"], "Wind")


def test_repeated_evidence_accumulates_at_the_command_line(tmp_path):
    file = tmp_path / "own.toml"
    extra = (
        '[evidence]\ns = { about = "A", lr = { ann = "3" } }\nt = { about = "A", lr = { ann = "1/2", bob = ">=2" } }\n'
    )
    file.write_text(small(extra + '[independence]\nboth = { items = ["s", "t"], discount = 1 }\n').text)
    result = CliRunner().invoke(app, ["update", str(file), "--evidence", "s", "--evidence", "t"])
    assert result.exit_code == 0, result.exception
    odds = 3 / 7 * 3 / 2
    assert f"A                      0.3     {odds / (1 + odds):.4g}  3  0.5" in result.stdout
    assert "bob: moved. the file gives bob no likelihoods for s: ask for them" in result.stdout
    file.write_text(small(extra).text)
    result = CliRunner().invoke(app, ["update", str(file), "--evidence", "s", "--evidence", "t"])
    assert isinstance(result.exception, MesascopeError)
    assert "independence.NAME" in result.exception.remedy


def test_open_ratios():
    assert readings.read_ratio(">=2") == (2, np.inf)
    assert evidence.update_interval((0.3, 0.3), (2, np.inf)) == pytest.approx((0.6 / 1.3, 1.0))
    extra = '[evidence]\ns = { about = "A", lr = { ann = ">=3" } }\nt = { about = "A", lr = { ann = "<1/3" } }\n'
    (up,) = [u for u in small(extra).update("s") if u.person == "ann"]
    assert up.posterior == pytest.approx((9 / 16, 1.0))
    assert up.target[1] == pytest.approx((9 / 32, 0.5))  # P(B given A) is .5
    (down,) = [u for u in small(extra).update("t") if u.person == "ann"]
    assert down.posterior == pytest.approx((0.0, 1 / 8))
    assert down.target[1] == pytest.approx((0.0, 1 / 16))


@pytest.mark.parametrize(
    ("stated", "value"),
    [
        ("1e-4", 1e-4),
        ("1 in 10000", 1e-4),
        ("1 in 10,000", 1e-4),
        ("1/8", 0.125),
        ("3 out of 4", 0.75),
        ("~1 in 4", 0.25),
    ],
)
def test_numbers_in_other_spellings(stated, value):
    assert readings.read_value(stated).centre == pytest.approx(value, rel=1e-12)
    number = small(**{'event = "A", value = "30%"': f'event = "A", value = {value!r}'})
    assert number.answer("ann", "A").point == pytest.approx(value)


@pytest.mark.parametrize(
    ("stated", "ratio"),
    [
        ("1/3", (1 / 3, 1 / 3)),
        ("3:1", (3, 3)),
        ("1:4", (0.25, 0.25)),
        ("1/5-1/2", (0.2, 0.5)),
        ("<=2", (0, 2)),
        ("2 to 5", (2, 5)),
    ],
)
def test_ratios_in_other_spellings(stated, ratio):
    assert readings.read_ratio(stated) == pytest.approx(ratio)


def test_the_interval_of_a_small_number_is_small():
    low, high = readings.read_value("~0.01%").select_interval("set")
    assert 0.00004 < low < 0.0001 < high < 0.0002
    assert readings.read_value("~99.99%").select_interval("set") == pytest.approx((1 - high, 1 - low))
    for stated, interval in (
        ("~10%", (0.05, 0.15)),
        ("~85%", (0.8, 0.9)),
        ("~50%", (0.45, 0.55)),
        ("~90%", (0.85, 0.95)),
    ):
        assert readings.read_value(stated).select_interval("set") == pytest.approx(interval)
    spans = [readings.read_value(f"~{p / 10}%").select_interval("set") for p in range(1, 500)]
    assert np.all(np.diff(np.array(spans), axis=0) > 0)  # both ends rise with the number, without a jump
    assert np.diff(np.array(spans), axis=0).max() < 0.003


def test_a_certain_outcome_is_exact_and_its_log_is_not_infinite():
    """A: P(C) 68 %, P(U|C) 67 %, P(U|!C) 0; B: 65, 43 and 0: rounding made P(U|!C) of one of them 1e-17."""
    lines = [("ann", 68, 67), ("bob", 65, 43)]
    text = DISPUTE.partition("[claims]")[0] + "[claims]\n"
    for who, pc, puc in lines:
        text += f'{who}1 = {{ by = "{who}", event = "Rain", value = "{pc}%" }}\n'
        text += f'{who}2 = {{ by = "{who}", event = "Wind", given = "Rain", value = "{puc}%" }}\n'
        text += f'{who}3 = {{ by = "{who}", event = "Wind", given = "!Rain", value = "0%" }}\n'
    for engine in ("auto", "lp", "net"):
        (value,) = Argument(text).vod(crux="Rain", engine=engine)
        assert (value.low, value.high) == pytest.approx((-0.00984, -0.00984), abs=5e-6)
    assert information.compute_discrimination_value((0.4556, 0.67, 0.68), (0.2795, 0.43, 0.65)) == pytest.approx(
        -0.009837, abs=1e-6
    )
