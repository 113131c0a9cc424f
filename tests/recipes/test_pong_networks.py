"""What a deep Q-network is trained on and computes, by a second derivation; its files, and who may open them."""

import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import catalogue
from mesascope.agents.networks.network_files import name_weights
from mesascope.agents.opening import find_adapter
from mesascope.contracts import Percept
from mesascope.errors import MesascopeError
from mesascope.recipes.files import write_tensors as write
from mesascope.worlds.pong.replay_memory import ReplayMemory
from mesascope.worlds.pong.subjects import places_network, q_network

SIZES = q_network.Sizes(33, 40, 4, 7, 3)
HEADER = {
    "format": q_network.FORMAT,
    "family": "pong",
    "trained_on": "unlimited",
    "layers": q_network.LAYERS,
    **SIZES._asdict(),
}
PLACES = {
    "format": places_network.FORMAT,
    "family": "pong",
    "trained_on": "unlimited",
    "memory": "gru",
    "width": 5,
    "choices": 3,
}


def test_a_sample_holds_what_followed_up_to_the_end_of_the_game():
    """Every step of three games is told apart by its frame: what is drawn can be looked up."""
    rng, replay = np.random.default_rng(0), ReplayMemory(60, 3, (1, 1), stack=3)
    games, age, story = 3, np.zeros(3, int), []
    for t in range(37):  # of 20 that are kept
        fake = np.array([bool(story) and story[-1][3][e] for e in range(games)])
        over = ~fake & (rng.random(games) < 0.15)
        frame = np.arange(games) * 50 + t + 1
        paid = np.where(fake, 0, rng.integers(-1, 2, games))
        story.append((frame, rng.integers(0, 3, games), paid, over, fake, age.copy()))
        replay.add(frame[:, None, None], story[-1][1], paid, over, np.where(fake, -1, age))
        age = np.where(fake, 0, age + 1)
    drawn = replay.sample(np.random.default_rng(1), 400, return_steps=4, discount=0.9)
    assert drawn.frames.shape == (400, 7, 1, 1)
    met = set()
    for frames, action, reward, discount in zip(*drawn, strict=True):
        value = int(frames[2, 0, 0])
        e, t = (value - 1) // 50, (value - 1) % 50
        met.add((e, t))
        frame, did, _, _, fake, aged = (x[e] for x in story[t])
        assert frame == value and did == action and not fake and t >= 19
        back = [story[t - k][0][e] if aged >= k else 0 for k in (2, 1)]
        assert frames[:2, 0, 0].tolist() == back
        total, alive = 0.0, True
        for k in range(4):
            total += 0.9**k * story[t + k][2][e]
            if story[t + k][3][e]:
                alive = False
                break
        assert reward == pytest.approx(total) and discount == pytest.approx(0.9**4 if alive else 0.0)
    assert len(met) > 30 and 0 < (drawn.discount == 0).mean() < 1


def test_values_are_those_of_plain_loops():
    weights = jax.tree.map(lambda x: x + 0.1, q_network.create_weights(jax.random.key(1), SIZES))
    frames = np.random.default_rng(2).integers(0, 256, (2, 33, 40, 4)).astype(np.uint8)
    x = (frames.astype(float) - 87) / 64
    for kernel, bias, (size, stride, channels) in zip(weights.kernels, weights.biases, q_network.LAYERS, strict=True):
        high, wide = ((n - size) // stride + 1 for n in x.shape[1:3])
        out = np.zeros((2, high, wide, channels))
        for i in range(high):
            for j in range(wide):
                seen = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
                out[:, i, j] = np.einsum("nabc,abco->no", seen, np.asarray(kernel, float)) + np.asarray(bias)
        x = np.maximum(out, 0)
    x = np.maximum(x.reshape(2, -1) @ np.asarray(weights.hidden_weights, float) + np.asarray(weights.hidden_bias), 0)
    x = x @ np.asarray(weights.value_weights, float) + np.asarray(weights.value_bias)
    got = q_network.compute_values(weights, jnp.asarray(frames), tuple(s for _, s, _ in q_network.LAYERS))
    assert np.allclose(got, x, rtol=1e-4)


def seen(frames, action=0):
    n = len(frames)
    zero = jnp.zeros(n, jnp.int32)
    return Percept(frames, zero + action, jnp.zeros(n), zero, zero, jnp.zeros(n, bool))


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.safetensors"
    weights = q_network.create_weights(jax.random.key(3), SIZES)
    write(path, {k: np.asarray(v) for k, v in name_weights(weights).items()}, HEADER)
    return path


def test_it_carries_the_last_frames_and_nothing_else(network):
    family = catalogue.make("families", "pong")
    subject = catalogue.make("subjects", find_adapter(str(network)), family, path=str(network))
    shown = np.random.default_rng(4).integers(0, 256, (5, 7, 1326)).astype(np.uint8)
    carry, other = subject.initialize_carry(7), subject.initialize_carry(7) + jnp.uint8(9)
    for frames in shown:
        assert (
            subject.update_carry(jax.random.key(0), carry, seen(frames))
            == jnp.concatenate([carry[:, 1:], frames[:, None, :1320]], 1)
        ).all()
        carry, response = subject.respond(jax.random.key(5), carry, seen(frames))
        other, again = subject.respond(jax.random.key(5), other, seen(frames, action=1))
    assert (carry == other).all() and (response.action == again.action).all()
    assert (np.moveaxis(shown[-3:, :, :1320], 0, 1) == carry).all()
    best = subject.compute_action_values(jnp.asarray(np.moveaxis(shown[-4:, :, :1320], 0, 1))).argmax(-1)
    assert np.allclose(np.exp(response.log_probs).max(-1), 0.99 + 0.01 / 3)
    assert (response.log_probs.argmax(-1) == best).all()


def rewritten(path, header, change):
    """The file with another header or other bytes."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    whole = json.loads(raw[8 : 8 + size])
    whole["__metadata__"]["mesascope"] = json.dumps(header)
    text = json.dumps(whole).encode()
    path.write_bytes(change(struct.pack("<Q", len(text)) + text + raw[8 + size :]))


@pytest.mark.parametrize(
    ("header", "change", "why"),
    [
        ({"layers": [[8, 4]]}, None, "layers"),
        ({"layers": [[40, 1, 3]]}, None, "do not fit"),
        ({"hidden": 0}, None, "hidden"),
        ({"stack": "4"}, None, "stack"),
        ({"hidden": 8}, None, "tensor"),
        ({"family": 3}, None, "family"),
        ({}, lambda raw: raw[:-5], "bytes"),
        ({}, lambda raw: raw[:-4] + struct.pack("<f", np.nan), "not all finite"),
    ],
)
def test_a_broken_file_is_refused(network, header, change, why):
    rewritten(network, HEADER | header, change or (lambda raw: raw))
    with pytest.raises(MesascopeError, match=why):
        catalogue.make("subjects", f"q_network:path={network}", catalogue.make("families", "pong"))


def test_what_ships_says_how_it_was_made_and_what_it_scored():
    path = q_network.list_shipped_networks()["pong"]
    told = q_network.read_metadata(path)
    beside = json.loads(path.with_suffix(".json").read_text())
    assert path.stat().st_size < 4_000_000 and {k: v for k, v in beside.items() if k != "curve"} == told
    scores = told["evaluation"]["scores"]
    assert len(scores) == 100 and np.mean(scores) == pytest.approx(told["evaluation"]["mean"]) and np.mean(scores) >= 18
    assert beside["curve"][-1]["updates"] == told["settings"]["updates"]


def test_networks_that_are_told_places(tmp_path):
    path, family = tmp_path / "network.safetensors", catalogue.make("families", "pong")
    weights = places_network.create_untrained_network(jax.random.key(6), "gru", 5, 3)
    write(path, {k: np.asarray(v) for k, v in name_weights(weights).items()}, PLACES)
    subject = catalogue.make("subjects", find_adapter(str(path)), family, path=str(path))
    shown = np.zeros((7, 1326), np.uint8)
    carry = subject.respond(jax.random.key(0), subject.initialize_carry(7), seen(shown))[0]
    shown[:, :1320] = 200  # the frame: not told
    assert (subject.respond(jax.random.key(0), subject.initialize_carry(7), seen(shown))[0] == carry).all()
    shown[:, 1321] = 200  # where the ball is
    assert (subject.respond(jax.random.key(0), subject.initialize_carry(7), seen(shown))[0] != carry).any()
    rewritten(path, PLACES | {"memory": "transformer"}, lambda raw: raw)
    with pytest.raises(MesascopeError, match="memory"):
        catalogue.make("subjects", f"places_network:path={path}", family)


@pytest.mark.parametrize("name", ["q_network", "places_network"])
def test_other_families_are_refused(network, tmp_path, name):
    bandit = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
    if name == "places_network":
        begun = places_network.create_untrained_network(jax.random.key(6), "gru", 5, 3)
        write(network, {k: np.asarray(v) for k, v in name_weights(begun).items()}, PLACES)
    with pytest.raises(MesascopeError, match="bernoulli_bandit"):
        catalogue.make("subjects", f"{name}:path={network}", bandit)


@pytest.mark.parametrize("recipe", ["dqn_atari", "ppo_atari"])
def test_without_the_extra_it_says_which(monkeypatch, tmp_path, recipe):
    monkeypatch.setitem(__import__("sys").modules, "ale_py", None)
    train = catalogue.get_factory("recipes", recipe)
    with pytest.raises(MesascopeError, match=r"mesascope\[atari\]"):
        train(catalogue.make("families", "pong"), tmp_path)
    with pytest.raises(MesascopeError, match="pong"):
        train(catalogue.make("families", "bernoulli_bandit:arms=3,trials=11"), tmp_path)


SMALL = {
    "dqn_atari": {"updates": 21, "environments": 3, "hidden": 7, "batch": 5, "first_steps": 30, "target_every": 4},
    "ppo_atari": {"updates": 3, "environments": 4, "segment_steps": 7, "width": 5, "epochs": 2, "minibatches": 2},
}


@pytest.mark.slow  # a training each; CI runs it
@pytest.mark.parametrize("name", SMALL)
def test_a_training_ends_with_a_network_that_opens_and_was_evaluated(name, tmp_path, monkeypatch):
    pytest.importorskip("ale_py", reason="needs the extra 'atari'")
    from mesascope.recipes import training_loop as _training_loop

    monkeypatch.setattr(_training_loop, "CHECKPOINT_SECONDS", 0.0)
    recipe, family = catalogue.get_factory("recipes", name), catalogue.make("families", "pong:rallies=2,steps=3")
    settings = {**SMALL[name], "games": 1, "seed": 5}
    once = [recipe(family, tmp_path / str(i), **settings).path.read_bytes() for i in (0, 1)]
    assert once[0] == once[1]
    assert not list((tmp_path / "0").glob("checkpoint*"))

    seen = []

    def stop(progress):
        seen.append(progress.finished_updates)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe(family, tmp_path / "2", **settings, progress=stop)
    assert (tmp_path / "2" / "checkpoint.safetensors").is_file()
    with pytest.raises(MesascopeError, match="another training"):
        recipe(family, tmp_path / "2", **{**settings, "seed": 6})
    path = recipe(family, tmp_path / "2", **settings).path
    subject = catalogue.make("subjects", find_adapter(str(path)), family, path=str(path))
    module = catalogue.import_plugin_module("subjects", find_adapter(str(path)))
    about = module.read_metadata(path)
    assert about["evaluation"]["games"] == 1 and about["evaluation"]["mean"] <= 21
    assert about["family"] == family.name and about["settings"]["seed"] == 5 and name in about["command"]
    percept = family.begin(jax.random.key(0), family.draw(jax.random.key(0), 7))[1]
    response = subject.respond(jax.random.key(0), subject.initialize_carry(7), percept)[1]
    assert np.allclose(np.exp(response.log_probs).sum(-1), 1, atol=1e-5)
