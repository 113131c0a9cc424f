"""Networks of fields: what a tick does, how far it reaches, and how they are trained."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope.agents.networks import thinking_network as networks
from mesascope.catalogue import make
from mesascope.errors import MesascopeError
from mesascope.recipes import training_loop as _training_loop
from mesascope.recipes.deep_thinking import recipe
from mesascope.rollouts.compiling import compile_once as compiled
from mesascope.rollouts.rollouts import rollout
from mesascope.worlds.mazes import mazes

HOME = make("families", "maze:size=5,trials=6")
FIELD = 9
SMALL = {"problems": 6, "width": 7, "ticks": 6, "window": 3, "seed": 2}


@pytest.fixture(scope="module")
def seen():
    """What is seen first of four mazes: the observations."""
    shown = compiled(lambda key: HOME.begin(key, HOME.draw(key, 4))[1])
    return shown(jax.random.key(3))


def network(layers, ticks=1):
    weights = networks.create_network(jax.random.key(layers), 7, layers, mazes.N_PLANES, 4)
    noise = jax.random.normal(jax.random.key(9), weights.bias.shape)
    weights = weights._replace(bias=0.3 * noise, policy_bias=jnp.arange(4.0))
    return networks.ThinkingNetwork("thinking_network", "unknown", weights, HOME, jnp.asarray(ticks), not layers, FIELD)


def slowly(weights, layer, held, pictures):
    """One tick, cell by cell."""
    out = np.zeros_like(held)
    for n, r, c in np.ndindex(held.shape[:3]):
        if not pictures[n, r, c, -1]:
            continue
        beside = [(r, c), (r - 1, c), (r, c + 1), (r + 1, c), (r, c - 1)]

        def around(x, n=n, beside=beside):
            inside = [0 <= a < FIELD and 0 <= b < FIELD for a, b in beside]
            return np.concatenate(
                [x[n, a, b] if i else 0 * x[n, 0, 0] for (a, b), i in zip(beside, inside, strict=True)]
            )

        z = np.concatenate([around(held), around(pictures)]) @ weights.mixing_weights[layer] + weights.bias[layer]
        gate, then = 1 / (1 + np.exp(-z[:7])), np.tanh(z[7:])
        out[n, r, c] = held[n, r, c] * (1 - gate) + gate * then
    return out


def test_ticks_and_layers_are_those_of_plain_loops(seen):
    pictures, here = (np.asarray(x, float) for x in HOME.convert_to_images(seen.observation))
    for layers in (0, 2):
        subject = network(layers)
        weights = jax.tree.map(lambda x: np.asarray(x, float), subject.weights)
        held = np.zeros((4, FIELD, FIELD, 7))
        for layer in (0, 0) if not layers else (0, 1):
            held = slowly(weights, layer, held, pictures)
        said = held.reshape(4, -1, 7)[np.arange(4), here.astype(int)] @ weights.policy_weights + weights.policy_bias
        said = said - np.log(np.exp(said).sum(-1, keepdims=True))
        carry = subject.initialize_carry(4)
        for _ in range(1 if layers else 2):
            carry, response = eqx.filter_jit(subject.respond)(jax.random.key(0), carry, seen)
        assert np.asarray(response.log_probs) == pytest.approx(said, abs=1e-4)
        if layers:
            assert carry == () and subject.read_taps(carry) == {}
        else:
            assert np.asarray(carry) == pytest.approx(held, abs=1e-5)
            twice = eqx.filter_jit(network(0, ticks=2).respond)(jax.random.key(0), subject.initialize_carry(4), seen)
            assert np.asarray(twice[1].log_probs) == pytest.approx(said, abs=1e-4)


def test_what_is_held_at_a_distance_comes_one_cell_nearer_at_each_tick(seen):
    subject = network(0)
    pictures, _ = HOME.convert_to_images(seen.observation)
    held = jax.random.uniform(jax.random.key(1), (4, FIELD, FIELD, 7), minval=-1.0)
    away = abs(np.arange(FIELD)[:, None] - 2) + abs(np.arange(FIELD) - 1)
    other = jnp.where(away[..., None] > 2, -held, held)
    on = compiled(lambda held: networks.run_ticks(subject.weights, held, pictures, 1))
    for ticks in range(1, 4):
        held, other = on(held), on(other)
        same = np.asarray((held == other).all((0, -1)))
        assert same[away <= 2 - ticks].all()
        if ticks <= 2:
            assert not same[away == 3 - ticks].any()
    assert not same[2, 1]


def test_a_network_plans_alike_in_a_field_of_any_size(seen):
    """Cells that belong to no maze hold nothing, so they change nothing."""
    subject = network(0)
    problem, _ = mazes.parse_observation(seen.observation)
    framed = mazes.Problem(mazes.pad_maze(problem.passages, 14), mazes.renumber_cell(problem.goal, FIELD, 14))
    held = []
    for p in (problem, framed):
        pictures = mazes.render_planes(p)
        start = networks.make_zero_state(subject.weights, pictures)
        held.append(np.asarray(networks.run_ticks(subject.weights, start, pictures, 5)))
    assert held[1][:, :5, :5] == pytest.approx(held[0][:, :5, :5], abs=1e-6)
    assert (held[1][:, 5:] == 0).all() and (held[0][:, :, 5:] == 0).all()


@pytest.mark.slow  # two trainings; CI runs it
def test_a_stopped_training_ends_with_the_same_bytes_and_is_opened(tmp_path):
    whole = recipe(HOME, tmp_path / "whole", updates=5, swap_probability=0.5, **SMALL)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe(HOME, tmp_path / "parts", updates=5, swap_probability=0.5, progress=stop, **SMALL)
    assert (tmp_path / "parts" / "checkpoint.safetensors").exists()
    parts = recipe(HOME, tmp_path / "parts", updates=5, swap_probability=0.5, **SMALL)
    assert whole.path.read_bytes() == parts.path.read_bytes()
    larger = make("families", "maze:size=7")
    net = make("subjects", f"thinking_network:path={whole.path},ticks=3", larger)
    assert net.is_recurrent and net.trained_on == "unlimited" and net.initialize_carry(2).shape == (2, 11, 11, 7)
    assert networks.read_family(whole.path) == HOME.name
    assert jax.tree.map(jnp.shape, net.make_untrained_twin(1).weights) == jax.tree.map(jnp.shape, net.weights)


@pytest.mark.long
def test_training_solves_small_mazes_and_follows(tmp_path):
    """Five cells on a side are solved after a minute, fresh ones too, and longer thought helps."""
    home = make("families", "maze:size=5")
    made = recipe(home, tmp_path, updates=250, problems=32, width=24, ticks=16, window=8, final_rate=1e-3)
    told = networks.read_metadata(made.path)["evaluation"]
    assert told["mean"] > 0.8 and len(told["scores"]) == told["games"]


def test_a_curve_that_is_none_of_a_training_is_left_alone(tmp_path):
    curve = tmp_path / "curve.csv"
    for theirs in ("steps,success,n\n1,.5,10\n", "agent,steps\na,1\n", "\n"):
        curve.write_text(theirs)
        with pytest.raises(MesascopeError, match="not the curve of a training"):
            recipe(HOME, tmp_path, updates=2, **SMALL)
        assert curve.read_text() == theirs
    for cut in ("", "updates,st", "updates,steps,score,cpu_seconds\n1,6,.5", "updates,steps,score,cpu_seconds\nx\n"):
        curve.write_text(cut)
        _training_loop._truncate_curve(curve, 4)
        assert not curve.exists() or curve.read_text() == "updates,steps,score,cpu_seconds\n"
        assert curve.exists() == ("seconds\n" in cut)


def test_what_it_refuses(tmp_path):
    with pytest.raises(MesascopeError, match="does not give grids to train on"):
        recipe(make("families", "tree_choice:depth=2"), tmp_path, updates=2)
    with pytest.raises(MesascopeError, match="has a bank"):
        recipe(HOME.with_bank("bank:3@0"), tmp_path, updates=2)
    with pytest.raises(MesascopeError, match="not a multiple of window"):
        recipe(HOME, tmp_path, updates=2, ticks=7, window=3)
    with pytest.raises(MesascopeError, match="ticks=2"):
        recipe(HOME, tmp_path, updates=2, ticks=2, window=3)
    with pytest.raises(MesascopeError, match="no file"):
        make("subjects", "thinking_network:path=nowhere.safetensors", HOME)
    with pytest.raises(MesascopeError, match="ticks=0"):
        make("subjects", "thinking_network:path=x,ticks=0", HOME)
    with pytest.raises(MesascopeError, match="shows no grids of cells"):
        networks.find_grid_sizes(make("families", "bernoulli_bandit"))


SHIPPED = {"maze_recurrent": (0, 0.5), "maze_goal_still": (0, 0.0), "maze_layered": (17, 0.5)}


def test_what_ships_says_how_it_was_made():
    assert networks.list_shipped_networks().keys() == SHIPPED.keys()
    for name, (layers, swaps) in SHIPPED.items():
        told = networks.read_metadata(networks.list_shipped_networks()[name])
        assert (told["recipe"], told["settings"]["layers"], told["settings"]["swap_probability"]) == (
            "deep_thinking",
            layers,
            swaps,
        )
        assert told["command"].startswith("mesascope train deep_thinking:") and len(told["commit"]) == 12


@pytest.mark.slow
@pytest.mark.parametrize(("name", "reading"), [("maze_recurrent", "undetermined"), ("maze_goal_still", "control")])
def test_what_ships_solves_mazes_with_ticks_and_follows_at_once_only_where_the_goal_moved_in_training(name, reading):
    family = make("families", "maze:size=9")
    subject, axis = make("subjects", f"thinking_network:path={name}", family), make("axes", "search")
    splits = ("fresh", "revalued:worth", "revalued:map")
    lived = {
        r: rollout(subject, family, r, 256, 0, conditions=axis.list_conditions(family), should_keep_log_probs=False)
        for r in splits
    }
    verdict = axis.read(lived, family)
    assert verdict.reading == reading
    right = verdict.numbers["right_at_once"]["fresh"]
    assert right["8 ticks"]["8 ahead"] > right["1 ticks"]["8 ahead"] + 0.2
    assert (verdict.numbers["follows"]["revalued:worth"] > 0.8) == (name == "maze_recurrent")
