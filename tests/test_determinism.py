"""The same seed gives the same bytes, and what is added changes nothing that was there."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mesascope import catalogue, examine, rollout
from mesascope.agents.function import wrap
from mesascope.cli.main import run_command
from mesascope.rollouts.replays import replay

FAMILY = "bernoulli_bandit:arms=5,trials=11"
KEPT = ("action", "feedback", "score", "partner", "means", "chance", "best", "worst", "fixed")
OPTIONS = [
    "--family",
    "bernoulli_bandit:arms=3,trials=12",
    "--splits",
    "fresh",
    "--metrics",
    "benefit",
    "--lifetimes",
    "70",
    "--seed",
    "3",
]


@pytest.fixture(scope="module")
def family():
    return catalogue.make("families", FAMILY)


def looped(percept, state, rng):
    """Stays after a win, else draws; counts its wins in the state."""
    won, n = percept["feedback"] > 0, len(percept["action"])
    wins = np.zeros(n) if state is None else state["wins"]
    return np.where(won & (wins < 5), np.maximum(percept["action"], 0), rng.integers(0, 5, n)), {"wins": wins + won}


def subject(name, family):
    if name == "looped":
        return wrap(looped, family)
    if name == "network":
        return catalogue.make("subjects", "recurrent:path=unlimited", family)
    return catalogue.make("subjects", name, family)


def equal(one, other):
    """Bit for bit, in everything that was lived."""
    for name in KEPT:
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)
    if "log_probs" in one:
        np.testing.assert_array_equal(one.log_probs.values, other.log_probs.values)


def labelled(*labels):
    return [catalogue.make("conditions", label) for label in labels]


@pytest.mark.parametrize("name", ["thompson", "network"])
def test_more_blocks_change_no_trial_of_the_earlier_ones(name, family):
    conditions = labelled("intact", "carry_swapped:trial=5", "feedback_shuffled:older_than=2")
    lived = {
        n: rollout(subject(name, family), family, "fresh", n, 5, conditions=conditions) for n in (64, 128, 256, 1024)
    }
    for n in (64, 128, 256):
        equal(lived[n], lived[1024].isel(lifetime=slice(n)))
    whole = lived[1024].action.values[0]
    assert len(np.unique(whole.reshape(16, -1), axis=0)) == 16  # no two blocks are one another's copies


def test_blocks_that_are_lived_together_live_as_alone(family):
    conditions = labelled("intact", "carry_swapped:trial=5", "feedback_shuffled:older_than=2")
    alone, many = (
        rollout(subject("thompson", family), family, "fresh", 150, 5, conditions=conditions, blocks_per_call=n)
        for n in (1, 2)
    )
    equal(alone, many)


def test_more_blocks_of_a_looped_function_change_no_trial(family):
    conditions = labelled("intact", "carry_swapped:trial=5", "feedback_shuffled:older_than=2")
    few, more = (rollout(subject("looped", family), family, "fresh", n, 5, conditions=conditions) for n in (64, 128))
    equal(few, more.isel(lifetime=slice(64)))


@pytest.mark.parametrize("name", ["thompson", "network", "looped"])
@pytest.mark.parametrize("n", [7, 100])
def test_a_padded_block_agrees_with_a_whole_one(name, n, family):
    conditions = labelled("intact", "feedback_shuffled:older_than=2")
    padded = rollout(subject(name, family), family, "fresh", n, 2, conditions=conditions)
    whole = rollout(subject(name, family), family, "fresh", -(-n // 64) * 64, 2, conditions=conditions)
    equal(padded, whole.isel(lifetime=slice(n)))


@pytest.mark.parametrize("name", ["thompson", "network", "looped"])
def test_more_conditions_change_no_other_trial(name, family):
    one = subject(name, family)
    few = rollout(one, family, "fresh", 70, 4, conditions=labelled("intact", "carry_reset"))
    labels = ["feedback_shuffled:older_than=4", "carry_reset", "carry_exchanged_once", "intact", "carry_frozen:trial=3"]
    more = rollout(one, family, "fresh", 70, 4, conditions=labelled(*labels))
    assert more.condition.values.tolist()[1:4:2] == ["carry_reset", "intact"]
    for label in ("intact", "carry_reset"):
        for field in ("action", "feedback", "score", "partner"):
            np.testing.assert_array_equal(few[field].sel(condition=label), more[field].sel(condition=label))


def test_more_metrics_and_splits_change_no_other_estimate(family):
    def measured(metrics, splits):
        found = examine("thompson", family, splits=splits, metrics=metrics, lifetimes=64)
        assert found.placement is not None
        return {
            (f.metric, f.split): (f.estimate, f.low, f.high, f.p, f.controls) for f in found.answers
        }, found.placement

    few, placed = measured(["benefit"], ["fresh"])
    more, again = measured(["memory_span", "benefit", "performance"], ["fresh", "shifted:high"])
    assert len(more) > len(few)
    assert {k: more[k] for k in few} == few
    assert again.numbers["benefit"] == placed.numbers["benefit"]


def test_another_seed_gives_other_trials(family):
    one, other = (rollout(subject("thompson", family), family, "fresh", 64, seed) for seed in (0, 1))
    assert (one.means.values != other.means.values).any(-1).all()
    assert (one.action.values != other.action.values).any(-1).mean() > 0.9


def test_splits_share_their_draws(family):
    banked = family.with_bank("bank:4@1")
    lived = {split: rollout(subject("uniform", family), banked, split, 64, 9) for split in banked.split_names}
    means = {split: trials.means.values for split, trials in lived.items()}
    fresh, half = means["fresh"], 11 // 2
    np.testing.assert_allclose(means["shifted:low"], 0.3 * fresh, rtol=1e-6)
    np.testing.assert_allclose(means["shifted:high"], 0.7 + 0.3 * fresh, rtol=1e-6)
    np.testing.assert_array_equal(means["inverted:feedback"], fresh)
    np.testing.assert_array_equal(means["horizon:longer"][:, :11], fresh)
    np.testing.assert_array_equal(means["restructured:drift"][:, 0], fresh[:, 0])
    for split in ("exchanged:reversal", "exchanged:random"):
        np.testing.assert_array_equal(means[split][:, :half], fresh[:, :half])
        np.testing.assert_array_equal(np.sort(means[split][:, half]), np.sort(fresh[:, half]))
        assert (means[split][:, half] != fresh[:, half]).any(-1).all()
    acts = {split: trials.action.values[0] for split, trials in lived.items()}  # of the same draws, whatever is paid
    for split in acts:
        np.testing.assert_array_equal(acts[split][:, :11], acts["fresh"])
    np.testing.assert_array_equal(lived["inverted:feedback"].feedback, 1 - lived["fresh"].feedback)


def test_the_reference_meets_the_same_tasks(family):
    one, other = (rollout(subject(name, family), family, "fresh", 70, 3) for name in ("thompson", "looped"))
    for name in ("means", "chance", "best", "worst", "fixed"):
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("name", ["thompson", "network", "windowed", "looped"])
def test_replay_gives_what_was_recorded(name, family):
    one = subject(name, family)
    lived = rollout(one, family, "fresh", 100, 6)
    forced = replay(one, lived)
    np.testing.assert_array_equal(forced.action, lived.action.values[0])
    if name == "looped":
        assert forced.log_probs is None
    else:
        np.testing.assert_allclose(np.exp(forced.log_probs), np.exp(lived.log_probs.values[0]), atol=2e-6)


def findings(folder):
    """The bytes of findings.json but for when it was made."""
    told = json.loads((Path(folder) / "findings.json").read_text())
    for row in told["subjects"]:
        for finding in row["findings"]:
            assert finding["made"].pop("when")
    return json.dumps(told)


@pytest.mark.slow  # two examinations; CI runs it
def test_global_seeds_change_nothing(tmp_path, capsys, monkeypatch):
    import rich.style  # noqa: F401 - it draws a number when it is imported

    told = []
    for seed in (1, 2):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache {seed}"))  # controls run under both seeds
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        before = random.getstate()
        assert run_command(["examine", "thompson", "uniform", *OPTIONS, "--out", str(tmp_path / str(seed))]) == 0
        assert random.getstate() == before  # nobody drew from it either
        told.append(findings(tmp_path / str(seed)))
    capsys.readouterr()
    assert told[0] == told[1]


@pytest.mark.slow  # other processes; CI runs it
def test_another_process_and_another_hash_seed_change_nothing(tmp_path, capsys):
    # a cache of its own, so that references and controls run in both processes
    environment = {**os.environ, "PYTHONHASHSEED": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = "import sys; from mesascope.cli.main import main; main()"
    asked = [sys.executable, "-c", code, "examine", "thompson", "uniform", *OPTIONS, "--out", str(tmp_path / "1")]
    subprocess.run(asked, env=environment, check=True, capture_output=True, timeout=300)
    assert run_command(["examine", "thompson", "uniform", *OPTIONS, "--out", str(tmp_path / "here")]) == 0
    capsys.readouterr()
    assert findings(tmp_path / "here") == findings(tmp_path / "1")
