"""Models behind an address: a real server on 127.0.0.1 whose answers and faults are scripted."""

from __future__ import annotations

import json
import socket
import stat

import numpy as np
import pytest

from mesascope import catalogue
from mesascope.agents.language.requests import AnswerCache
from mesascope.errors import MesascopeError
from mesascope.examination.runs import format_command_line
from mesascope.rollouts.rollouts import rollout
from subjects.lm_server import RESPONDERS, serving

pytest.importorskip("httpx", reason="needs the extra lm")


@pytest.fixture(autouse=True)
def network_blocked(monkeypatch):
    """Whatever leaves this machine fails, and so does the test."""
    real = socket.socket.connect

    def connect(self, address):
        assert not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1"), f"it called {address}"
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


def subject(address, family, **settings):
    told = {"cache": "none", "batch": 64, "retries": 2} | settings
    spec = ",".join(f"{k}={v}" for k, v in {"path": address, **told}.items())
    return catalogue.make("subjects", f"openai_api:{spec}", family)


def conditions(*labels):
    return [catalogue.make("conditions", label) for label in labels]


@pytest.fixture(scope="module")
def family():
    return catalogue.make("families", "word_labels:trials=5")


@pytest.mark.parametrize(
    ("responder", "twin", "split", "settings"),
    [
        ("learner", "label_learner", "restructured:halves", {}),
        ("recogniser", "label_recogniser", "fresh", {"is_chat": True, "parallel_requests": 8}),
        ("parrot", "last_answer", "fresh", {}),
    ],
)
def test_what_is_read_over_the_address_is_what_its_twin_does_here(family, responder, twin, split, settings):
    asked = conditions("intact", "feedback_shuffled:older_than=1", "carry_reset", "carry_swapped:trial=3")
    here = rollout(catalogue.make("subjects", twin, family), family, split, 64, 3, conditions=asked)
    with serving(responder) as server:
        there = rollout(subject(server.address, family, **settings), family, split, 64, 3, conditions=asked)
    assert (there.action.values == here.action.values).all()
    assert np.allclose(np.exp(there.log_probs.values[0]), np.exp(here.log_probs.values[0]), atol=1e-4)
    assert there.attrs["elicited"] == "log_probs" and there.attrs["fingerprint"] == {}
    sent = [json.loads(t)["sent"] for t in there.transcript.values]
    assert [s.count("\n") for s in sent[:1]] == [5 + 2 * bool(settings)] and len(set(sent)) >= 3
    lines = {c: s.splitlines() for c, s in zip(there.condition.values.tolist(), sent, strict=True)}
    assert len(lines["carry_reset"]) == len(lines["intact"]) - 3  # the context is cut off


def test_without_log_probabilities_answers_are_taken_as_they_stand(family):
    with serving("parrot", always="plain") as server:
        plain = subject(server.address, family)
        assert "mode=answer" in plain.name
        lived = rollout(plain, family, "fresh", 64, 3)
        assert "log_probs" not in lived and (lived.answered.values == 0).all()
        with pytest.raises(MesascopeError, match="reports no log-probabilities"):
            subject(server.address, family, mode="log_probs")
        sampled = rollout(subject(server.address, family, mode="samples", samples=3), family, "fresh", 64, 3)
    here = rollout(catalogue.make("subjects", "last_answer", family), family, "fresh", 64, 3)
    assert (lived.action.values == here.action.values).all()
    assert (sampled.action.values == here.action.values).all() and sampled.attrs["elicited"] == "samples"
    assert np.allclose(np.exp(sampled.log_probs.values).max(-1), 3.5 / 4)


@pytest.mark.parametrize(("always", "code"), [("refuses", 2), ("chatters", 3)])
def test_refusals_and_other_talk_are_missing_trials(family, always, code):
    with serving("first", always=always) as server:
        lived = rollout(subject(server.address, family, mode="answer"), family, "fresh", 64)
    assert (lived.answered.values == code).all() and (lived.action.values == -1).all()
    assert np.isnan(lived.feedback.values).all() and np.isnan(lived.score.values).all()


@pytest.mark.parametrize("fault", [429, 500, "half", "slow", "shape"])
def test_a_fault_that_passes_is_asked_again_or_is_a_missing_trial(family, fault):
    with serving("learner", faults=["ok", fault]) as server:
        lived = rollout(subject(server.address, family, mode="auto", timeout=0.5), family, "fresh", 64, 3)
    missing = lived.answered.values[0] == 4
    if fault == "shape":  # it was answered, so it is not asked again
        assert missing[:, 0].all() and not missing[:, 1:].any()
        assert (lived.action.values[0][missing] == -1).all() and np.isnan(lived.score.values[0][missing]).all()
        assert "another form" in lived.transcript.values[0] or "no list of choices" in lived.transcript.values[0]
    else:
        assert not missing.any() and len(server.seen) == 1 + 5 + 1


def test_a_context_that_is_too_long_is_a_missing_trial(family):
    with serving("learner", faults=["ok"] * 5 + [400]) as server:
        lived = rollout(subject(server.address, family), family, "fresh", 64, 3)
    assert (lived.answered.values[0, :, 4] == 4).all() and not lived.answered.values[0, :, :4].any()
    assert "the context is too long" in lived.transcript.values[0]


def test_faults_that_stay_end_in_a_message(family):
    with serving() as server:
        address = server.address
    with pytest.raises(MesascopeError, match=r"No model server answers at http://127\.0\.0\.1"):
        subject(address, family, retries=0)
    with (
        serving(always="shape") as server,
        pytest.raises(MesascopeError, match="no usable answer: it contains no list"),
    ):
        subject(server.address, family)
    with serving(always=401) as server, pytest.raises(MesascopeError, match=r"401.*valid key"):
        subject(server.address, family)
    with serving(faults=["ok"], always=500) as server:
        one = subject(server.address, family, retries=0)
        with pytest.raises(MesascopeError, match=r"256 consecutive questions.*status 500.*no question is asked twice"):
            rollout(one, family, "fresh", 64)


def test_an_interrupted_run_goes_on_without_asking_twice(family, tmp_path, monkeypatch):
    monkeypatch.setenv("LM_KEY", "sekret-1")
    kept = tmp_path / "asked.jsonl"
    settings = {"cache": kept, "key": "LM_KEY", "retries": 0, "batch": 1, "mode": "samples", "samples": 2}
    with serving("learner", faults=["ok"] * 100, always=404) as server:
        bad = server.address.replace("http://", "http://user:pa55@") + "?token=t0k"
        with pytest.raises(MesascopeError, match="404") as told:
            rollout(subject(bad, family, **settings), family, "fresh", 64)
        first = [r["body"] for r in server.seen[:100]]
        server.always = None
        done = len(server.seen)
        again = subject(bad, family, **settings)
        lived = rollout(again, family, "fresh", 64)
        second = [r["body"] for r in server.seen[done:]]
        assert any(r["headers"].get("Authorization") == "Bearer sekret-1" for r in server.seen)
    seen = {json.dumps(b, sort_keys=True) for b in first}
    assert len(seen) == 100 and not seen & {json.dumps(b, sort_keys=True) for b in second}
    assert len(second) == 64 * 5 - 100 and (lived.answered.values == 0).all()
    written = kept.read_text() + again.name + str(told.value) + json.dumps(lived.attrs) + lived.transcript.values[0]
    written += format_command_line(["examine", bad, f"openai_api:path={bad},model=m"])
    assert not any(secret in written for secret in ("sekret", "pa55", "t0k", "user:", "Authorization"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.write_text(kept.read_text() + '{"key": "cut of')  # what a killed run leaves
    with serving("learner", always=500):
        rollout(subject(bad, family, **settings), family, "fresh", 64)  # all of it is known


def test_count_and_cost_come_before_anything_is_sent(family):
    with serving() as server:
        free = subject(server.address, family)
        told = free.describe_cost(1000)
        assert "at most 1,000 questions" in told and "no price was given" in told
        dear = subject(server.address, family, price_in=2.5, price_out=10, budget=0.01)
        before = len(server.seen)
        with pytest.raises(MesascopeError, match="Give budget="):
            dear.describe_cost(100_000)
        assert len(server.seen) == before


def test_a_model_that_changes_is_noticed(family):

    with serving("learner") as server:
        one = subject(server.address, family)
        rollout(one, family, "fresh", 64)
        floor, why = one.measure_drift()
        assert floor == 0 and why == ""
        server.responder = RESPONDERS["first"]
        floor, why = one.measure_drift()
    assert floor > 1 and "changed by" in why


def test_an_answer_after_a_line_that_was_cut_off_is_kept(tmp_path):
    path = tmp_path / "asked.jsonl"
    AnswerCache(path, "http://a").store("completions", {"prompt": "x"}, "first")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])  # a run that was killed while it wrote
    AnswerCache(path, "http://a").store("completions", {"prompt": "y"}, "second")
    cache = AnswerCache(path, "http://a")
    assert sorted(cache.saved_answers.values()) == ["first", "second"]
    assert cache.saved_answers[cache.make_key("completions", {"prompt": "y"})] == "second"
