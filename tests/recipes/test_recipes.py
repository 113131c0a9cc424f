"""Every recipe repeats itself to the byte, goes on after SIGKILL, and says what it did."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mesascope.agents.networks import recurrent
from mesascope.agents.networks.network_files import read_header
from mesascope.catalogue import convert_settings, list_names, parse_spec
from mesascope.contracts import Progress
from mesascope.errors import MesascopeError
from tests.recipes.cases import SMALL, SYMBOLS, TINY, recipe, task

RECIPES = list(TINY)


def train(name: str, out: Path, **changed):
    return recipe(name)(task(name), out, **{**TINY[name], **changed})


def done(checkpoint: Path) -> int:
    return read_header(checkpoint)[0]["done"] if checkpoint.exists() else 0


def test_these_are_all_recipes():
    assert set(list_names("recipes")) >= set(RECIPES)


RUN = """
import json, sys
from mesascope.recipes import training_loop
from tests.recipes.cases import recipe, task

training_loop.CHECKPOINT_SECONDS = 0.0
recipe(sys.argv[1])(task(sys.argv[1]), sys.argv[2], **json.loads(sys.argv[3]))
"""
LONG = {name: {**TINY[name], "updates": 300} for name in RECIPES}
LONG["imitate"] = {**TINY["imitate"], "updates": 90, "improve_updates": 210}
KILLED = {"ppo_recurrent": (0.0, 0.137), "imitate": (0.0,)}  # seconds after the next checkpoint
KILLS = int(os.environ.get("MESASCOPE_KILLS", "0"))  # at random moments, in place of these


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_killed_at_any_moment_it_ends_with_the_same_bytes(tmp_path, name):
    whole = train(name, tmp_path / "whole", **LONG[name]).path.read_bytes()
    out, seen = tmp_path / "parts", []
    checkpoint = out / "checkpoint.safetensors"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    draw = random.Random(name)
    moments = [draw.uniform(0.0, 0.2) for _ in range(KILLS or 1)]
    for wait in moments if KILLS else KILLED.get(name, moments):
        before = done(checkpoint)
        told = [sys.executable, "-c", RUN, name, str(out), json.dumps(LONG[name])]
        process = subprocess.Popen(told, env=environment)
        while done(checkpoint) <= before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        seen.append(done(checkpoint))
    assert seen[0] > 0 and seen == sorted(set(seen)) and seen[-1] < 300, seen
    (out / ".checkpoint.safetensors.part").write_bytes(b"half a check")  # killed while writing
    train(name, out, **LONG[name])
    assert (out / "network.safetensors").read_bytes() == whole
    assert not checkpoint.exists()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("at", [1, 2])
def test_interrupted_by_the_user_it_keeps_what_it_had(tmp_path, name, at):
    whole = train(name, tmp_path / "whole").path.read_bytes()

    def interrupt(progress: Progress) -> None:
        if progress.finished_updates == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(name, tmp_path / "parts", progress=interrupt)
    assert done(tmp_path / "parts" / "checkpoint.safetensors") == at
    rest = train(name, tmp_path / "parts")
    assert rest.environment_steps == (3 - at) * 66 * 11
    assert rest.path.read_bytes() == whole


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_same_bytes_whatever_the_global_seeds(tmp_path, name):
    paths = []
    for i, seed in enumerate((3, 3, 4)):
        random.seed(i)
        np.random.seed(i)  # noqa: NPY002
        paths.append(train(name, tmp_path / str(i), seed=seed).path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert recurrent.read_metadata(paths[0])["seed"] == 3
    ours = [recurrent.subject(task(name), str(p)).hash_weights() for p in (paths[0], paths[2])]
    changed = [k for k in ours[0] if ours[0][k] != ours[1][k]]
    still = {".value_weights", ".value_bias"} if name == "predict" else set()  # nobody asks its critic
    assert set(ours[0]) - set(changed) == still


@pytest.mark.parametrize("name", RECIPES)
def test_a_network_says_the_command_that_makes_it_again(tmp_path, name):
    trained = train(name, tmp_path)
    told = recurrent.read_metadata(trained.path)
    assert (told["recipe"], told["trained_on"], told["family"]) == (name, "unlimited", task(name).name)
    spec, _, rest = told["command"].removeprefix("mesascope train ").partition(" --family ")
    named, given = parse_spec(spec)
    assert (named, rest) == (name, f"{task(name).name} --out DIR")
    assert convert_settings(recipe(name), given, "recipe") == told["settings"]
    assert (trained.updates, trained.environment_steps) == (3, 3 * 66 * 11)


def test_progress_counts_every_update_and_estimates_what_is_left(tmp_path):
    seen: list[Progress] = []
    trained = train("ppo_recurrent", tmp_path, progress=seen.append)
    assert [p.finished_updates for p in seen] == [1, 2, 3]
    assert {p.total_updates for p in seen} == {3}
    assert seen[0].seconds_left is None
    assert seen[1].seconds_left is not None
    assert seen[1].seconds_left > 0
    assert seen[2].seconds_left == 0
    assert all(0 < p.score < 1 for p in seen)
    again = train("ppo_recurrent", tmp_path, progress=lambda p: pytest.fail("nothing is left to do"))
    assert (again.path, again.environment_steps) == (trained.path, 0)


SETTINGS = [
    ("ppo_recurrent", {"memory": "elephant"}, "memory 'elephant'"),
    ("ppo_recurrent", {"observes": "action+reward"}, "part of the percept 'reward'"),
    ("ppo_recurrent", {"observes": ""}, "part of the percept ''"),
    ("ppo_recurrent", {"observes": "action+action"}, "a part twice"),
    ("ppo_recurrent", {"width": 0}, "width=0"),
    ("ppo_recurrent", {"updates": 0}, "updates=0"),
    ("ppo_recurrent", {"lifetimes": 67}, "cannot be split"),
    ("ppo_recurrent", {"epochs": -1}, "epochs=-1"),
    ("ppo_recurrent", {"minibatches": 0}, "minibatches=0"),
    ("ppo_recurrent", {"seed": -1}, "seed=-1"),
    ("ppo_recurrent", {"discount": 1.01}, "discount=1.01"),
    ("ppo_recurrent", {"rate": float("nan")}, "rate=nan"),
    ("a2c_recurrent", {"critic_weight": -0.5}, "critic_weight=-0.5"),
    ("a2c_recurrent", {"gae_lambda": 1.5}, "gae_lambda=1.5"),
    ("a2c_recurrent", {"lifetimes": 0}, "lifetimes=0"),
    ("imitate", {"teacher": "gitins"}, "no subject 'gitins'"),
    ("imitate", {"teacher": "gittins:discount=2"}, "discount=2"),
    ("imitate", {"improve_updates": -1}, "improve_updates=-1"),
    ("imitate", {"led_share": 1.2}, "led_share=1.2"),
    ("imitate", {"improve_rate": -1.0}, "improve_rate=-1.0"),
    ("predict", {"minibatches": 4}, "cannot be split"),
    ("predict", {"final_rate": float("inf")}, "final_rate=inf"),
]


@pytest.mark.parametrize(("name", "settings", "says"), SETTINGS)
def test_settings_that_cannot_be(tmp_path, name, settings, says):
    with pytest.raises(MesascopeError, match=says) as error:
        train(name, tmp_path, **settings)
    assert error.value.remedy
    assert not list(tmp_path.iterdir())


def test_what_shows_no_target_cannot_be_predicted(tmp_path):
    with pytest.raises(MesascopeError, match="does not show what the network should have predicted") as error:
        recipe("predict")(SMALL, tmp_path)
    assert "beta_bernoulli" in error.value.remedy


def test_a_folder_holds_one_training(tmp_path):
    train("imitate", tmp_path)
    with pytest.raises(MesascopeError, match="to another training run: its settings") as error:
        train("imitate", tmp_path, teacher="thompson")
    assert "--out" in error.value.remedy
    with pytest.raises(MesascopeError, match="to another training run: its recipe"):
        train("ppo_recurrent", tmp_path)
    with pytest.raises(MesascopeError, match="to another training run: its family"):
        recipe("imitate")(SYMBOLS, tmp_path, **TINY["imitate"] | {"teacher": "uniform"})
    (tmp_path / "file").touch()
    with pytest.raises(MesascopeError, match="cannot be a folder"):
        train("imitate", tmp_path / "file")


def test_a_broken_checkpoint_is_not_gone_on_from(tmp_path):
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("ppo_recurrent", tmp_path, progress=interrupt)
    checkpoint = tmp_path / "checkpoint.safetensors"
    good = checkpoint.read_bytes()
    for bad in (good[:-5], good[:40], b"", json.dumps({"done": 2}).encode()):
        checkpoint.write_bytes(bad)
        with pytest.raises(MesascopeError) as error:
            train("ppo_recurrent", tmp_path)
        assert "Delete it" in error.value.remedy
