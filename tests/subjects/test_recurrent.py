"""Networks of ours: the arithmetic against NumPy, files whole and broken, and those that ship."""

import functools
import json
import pickle
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save as serialise

from mesascope.agents.networks import recurrent
from mesascope.agents.networks.network_files import name_weights
from mesascope.catalogue import convert_settings, get_factory, make, parse_spec
from mesascope.conditions.carry_reset import condition as reset
from mesascope.conditions.feedback_shuffled import condition as shuffled
from mesascope.contracts import Intact, Percept
from mesascope.errors import MesascopeError
from mesascope.formats import NETWORK_FORMAT
from mesascope.rollouts.replays import replay
from mesascope.rollouts.rollouts import rollout
from mesascope.worlds.bandits.families.bernoulli_bandit import family
from tests.subjects.lives import save

SMALL = family(arms=3, trials=11)
OBSERVED = ("action", "feedback", "trial", "first", "observation")
N = 7


@functools.cache
def network(memory: str = "gru", observes: tuple[str, ...] = OBSERVED) -> recurrent.Recurrent:
    """Untrained, with weights large enough to matter."""
    made = recurrent.create_network(jax.random.key(3), memory, 5, observes, (3, 0, 11))
    loud = lambda x: x + jax.random.normal(jax.random.key(x.size), x.shape)  # noqa: E731
    return jax.tree.map(lambda x: loud(x) if eqx.is_array(x) else x, made)


def said(memory: str = "gru") -> dict:
    """What the file of `network` says."""
    return {
        "memory": memory,
        "width": 5,
        "observes": list(OBSERVED),
        "choices": 3,
        "observation": 0,
        "horizon": 11,
        "family": SMALL.with_bank("bank:4@2").name,
        "trained_on": "bank:4@2",
    }


def percepts() -> list[Percept]:
    """Eleven percepts of a lifetime that goes nowhere in particular."""
    rng = np.random.default_rng(4)
    out = []
    for t in range(11):
        action = np.full(N, -1) if t == 0 else rng.integers(0, 3, N)
        feedback = np.zeros(N) if t == 0 else rng.integers(0, 2, N).astype(float)
        here = np.full(N, t)
        out.append(Percept(np.zeros((N, 0)), action, feedback, here, np.zeros(N), here == 0))
    return [jax.tree.map(jnp.asarray, p) for p in out]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(net: recurrent.Recurrent, memory: str) -> np.ndarray:
    """Log-probabilities [T, N, K] by NumPy, one lifetime at a time, in float64."""
    w = {k: np.asarray(v, np.float64) for k, v in name_weights(net).items()}
    out = np.zeros((11, N, 3))
    for n in range(N):
        h, c = np.zeros(5), np.zeros(5)
        for t, p in enumerate(percepts()):
            x = np.concatenate([np.eye(3)[p.action[n]] * (t > 0), [p.feedback[n], t / 11, t == 0]])
            if memory == "none":
                h = np.tanh(x @ w["memory.weight"] + w["memory.bias"])
            elif memory == "gru":
                gate = [slice(0, 5), slice(5, 10), slice(10, 15)]
                i, r = w["memory.inputs"], w["memory.recurrent"]
                b = w["memory.bias"]
                forget = sigmoid(x @ i[:, gate[0]] + h @ r[:, gate[0]] + b[gate[0]])
                stay = sigmoid(x @ i[:, gate[1]] + h @ r[:, gate[1]] + b[gate[1]])
                inner = h @ r[:, gate[2]] + w["memory.inner"]
                new = np.tanh(x @ i[:, gate[2]] + b[gate[2]] + forget * inner)
                h = (1 - stay) * new + stay * h
            else:
                i, f, o, g = np.split(x @ w["memory.inputs"] + h @ w["memory.recurrent"] + w["memory.bias"], 4)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            logits = h @ w["policy"] + w["policy_bias"]
            out[t, n] = logits - np.log(np.exp(logits).sum())
    return out


@pytest.mark.parametrize("memory", ["none", "gru", "lstm"])
def test_it_computes_what_numpy_computes_and_reads_back_what_was_written(tmp_path, memory):
    net, path = network(memory), tmp_path / "net.safetensors"
    save(net, path, said(memory))
    read = recurrent.subject(SMALL, str(path))
    assert read.hash_weights() == net.hash_weights()
    assert (read.name, read.trained_on, read.observes) == (f"recurrent:path={path}", "bank:4@2", OBSERVED)
    carry, steps = read.initialize_carry(N), []
    assert all((leaf == 0).all() and leaf.shape[0] == N for leaf in jax.tree.leaves(carry))
    for p in percepts():
        carry, response = read.respond(jax.random.key(0), carry, p)
        steps.append(response.log_probs)
    np.testing.assert_allclose(steps, by_hand(net, memory), atol=2e-5)
    unrolled = read.compute_log_probs(read.memory.unroll(jnp.stack([read.encode(p) for p in percepts()])))
    np.testing.assert_allclose(unrolled, np.stack(steps), atol=1e-5)
    taps = {k: v.shape for k, v in read.read_taps(carry).items()}
    full = {"core.h": (N, 5), "core.c": (N, 5)}
    assert taps == {"none": {}, "gru": {"core.h": (N, 5)}, "lstm": full}[memory]


def test_it_observes_what_its_file_says_and_nothing_else():
    a, b = percepts()[3], percepts()[8]
    blind = network(observes=("action", "first"))
    same = b._replace(action=a.action, first=a.first)
    assert (blind.encode(a) == blind.encode(same)).all()
    assert blind.encode(a).shape == (N, 4)
    assert (network().encode(percepts()[0])[:, :3] == 0).all()


def test_networks_that_differ_in_weights_and_names_share_compiled_code():
    traced = []

    @eqx.filter_jit
    def respond(subject, percept):
        traced.append(subject.name)
        return subject.respond(jax.random.key(0), subject.initialize_carry(N), percept)[1].log_probs

    a = network()
    b = eqx.tree_at(lambda n: n.policy_weights, a, a.policy_weights + 1.0 * jnp.arange(3))
    b = eqx.tree_at(lambda n: (n.name, n.trained_on), b, ("other", "unlimited"))
    nameless = [eqx.tree_at(lambda n: [getattr(n, f) for f in n.identity_fields], n, [None, None]) for n in (a, b)]
    first, second = (respond(n, percepts()[2]) for n in nameless)
    assert not np.allclose(first, second)
    assert traced == [None]


def good(**changed) -> bytes:
    """A good file, or one with parts of its metadata changed; None leaves a part out."""
    told = {"format": NETWORK_FORMAT, **said(), **changed}
    told = {k: v for k, v in told.items() if v is not None}
    return serialise(tensors(), {"mesascope": json.dumps(told)})


def tensors(**changed) -> dict[str, np.ndarray]:
    """The weights of `network`, some changed; None leaves one out."""
    own = {k: np.asarray(v) for k, v in name_weights(network()).items()} | changed
    return {k: v for k, v in own.items() if v is not None}


def odd(**changed) -> bytes:
    return serialise(tensors(**changed), {"mesascope": json.dumps({"format": NETWORK_FORMAT, **said()})})


def headed(header: bytes, length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header


BROKEN = {
    "empty": (lambda: b"", "header of 0 bytes"),
    "text": (lambda: b"weights: 1, 2, 3 and so on\n", "declare a header"),
    "pickle": (lambda: pickle.dumps({"policy": [1.0]}), "declare a header"),
    "seven bytes": (lambda: b"\x01" * 7, "declare a header"),
    "header over-large": (lambda: headed(b"{}", 1 << 40), "declare a header of 1,099,511,627,776 bytes"),
    "header over-long for the file": (lambda: headed(b'{"a": 1', 500), "no readable safetensors header"),
    "header no JSON": (lambda: headed(b"{weights}"), "no readable safetensors header"),
    "header a list": (lambda: headed(b"[1, 2]"), "no readable safetensors header"),
    "header nested deep": (lambda: headed(b"[" * 100_000 + b"]" * 100_000), "no readable safetensors header"),
    "header not UTF-8": (lambda: headed(b'{"\xff\xfe": 1}'), "no readable safetensors header"),
    "tensor without a shape": (lambda: headed(b'{"policy": {"dtype": "F32"}}'), "no readable safetensors header"),
    "tensor of infinite shape": (
        lambda: headed(b'{"policy": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}'),
        "no readable safetensors header",
    ),
    "metadata a number": (lambda: headed(b'{"__metadata__": {"mesascope": 7}}'), "no readable safetensors header"),
    "metadata no JSON": (lambda: serialise(tensors(), {"mesascope": "{"}), "no readable safetensors header"),
    "metadata a list": (lambda: serialise(tensors(), {"mesascope": "[]"}), "no readable safetensors header"),
    "no metadata": (lambda: serialise(tensors()), "its format is None"),
    "metadata of another package": (lambda: serialise(tensors(), {"format": "pt"}), "its format is None"),
    "a later format": (lambda: good(format="mesascope-network/9"), "its format is 'mesascope-network/9'"),
    "no memory": (lambda: good(memory=None), "no text 'memory'"),
    "unknown memory": (lambda: good(memory="elephant"), "no memory 'elephant'"),
    "another memory": (lambda: good(memory="lstm"), "its tensor 'memory"),
    "no family": (lambda: good(family=None), "no text 'family'"),
    "family a list": (lambda: good(family=["bernoulli_bandit"]), "no text 'family'"),
    "no trained_on": (lambda: good(trained_on=None), "no text 'trained_on'"),
    "trained_on nonsense": (lambda: good(trained_on="<script>"), "does not name a bank"),
    "no choices": (lambda: good(choices=None), "no whole number 'choices'"),
    "width true": (lambda: good(width=True), "no whole number 'width'"),
    "width half": (lambda: good(width=5.5), "no whole number 'width'"),
    "width huge": (lambda: good(width=10**6), "width=1000000 is out of range"),
    "horizon zero": (lambda: good(horizon=0), "no whole number 'horizon'"),
    "told a text": (lambda: good(observes="action"), "does not list the parts"),
    "told numbers": (lambda: good(observes=[1, 2]), "does not list the parts"),
    "told nothing": (lambda: good(observes=[]), "is empty"),
    "told the unknown": (lambda: good(observes=["action", "best arm"]), "part of the percept 'best arm'"),
    "told less": (lambda: good(observes=["action"]), "its tensor 'memory.inputs'"),
    "another width": (lambda: good(width=6), "its tensor 'memory"),
    "a tensor missing": (lambda: odd(policy=None), "its tensor 'policy' is None"),
    "a tensor more": (lambda: odd(extra=np.zeros(3, np.float32)), "its tensor 'extra'"),
    "a tensor of another shape": (lambda: odd(policy=np.zeros((3, 5), np.float32)), "its tensor 'policy'"),
    "a tensor in float64": (lambda: odd(policy=np.zeros((5, 3))), "its tensor 'policy' is ('F64', (5, 3))"),
    "a tensor of integers": (lambda: odd(policy=np.zeros((5, 3), np.int32)), "its tensor 'policy'"),
    "NaN": (lambda: odd(policy=np.full((5, 3), np.nan, np.float32)), "its weights policy are not all finite"),
    "infinite": (lambda: odd(value_bias=np.full((), np.inf, np.float32)), "value_bias are not all finite"),
    "cut in the data": (lambda: good()[:-9], "bytes, but its header declares"),
    "cut in the header": (lambda: good()[:100], "no readable safetensors header"),
    "bytes behind the end": (lambda: good() + b"\x00" * 8, "bytes, but its header declares"),
    "overlapping tensors": (
        lambda: good().replace(b"data_offsets", b"data_offsetz", 1),
        "no readable safetensors header",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_with_the_cause_and_the_remedy(tmp_path, case):
    make_content, says = BROKEN[case]
    path = tmp_path / "net.safetensors"
    path.write_bytes(make_content())
    with pytest.raises(MesascopeError) as error:
        recurrent.subject(SMALL, str(path))
    assert says in error.value.problem
    assert error.value.remedy


def test_offsets_that_lie_are_refused(tmp_path):
    content = good()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["policy"]["data_offsets"], header["value"]["data_offsets"] = (
        header["value"]["data_offsets"],
        header["policy"]["data_offsets"],
    )
    path = tmp_path / "net.safetensors"
    path.write_bytes(headed(json.dumps(header).encode()) + content[8 + length :])
    with pytest.raises(MesascopeError, match="is not a network file of mesascope"):
        recurrent.subject(SMALL, str(path))


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(MesascopeError, match="There is no file") as error:
        recurrent.subject(SMALL, str(tmp_path / "gone.safetensors"))
    assert "bank_of_four, memoryless, " in error.value.remedy and "unlimited" in error.value.remedy
    with pytest.raises(MesascopeError, match="cannot be read"):
        recurrent.subject(SMALL, str(tmp_path))
    with pytest.raises(MesascopeError, match="No network is named"):
        recurrent.subject(SMALL)


def test_a_family_that_it_cannot_act_in_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(good())
    with pytest.raises(MesascopeError, match=r"chooses between 3 actions, but .* has 4") as error:
        recurrent.subject(family(arms=4, trials=11), str(path))
    assert SMALL.name in error.value.remedy
    assert recurrent.subject(family(arms=3, trials=50), str(path)).horizon == 11
    path.write_bytes(serialise(_observing(), {"mesascope": json.dumps(_observing_said())}))
    with pytest.raises(MesascopeError, match="observes 2 numbers"):
        recurrent.subject(SMALL, str(path))


def _observing() -> dict[str, np.ndarray]:
    seeing = recurrent.create_network(jax.random.key(1), "gru", 5, OBSERVED, (3, 2, 11))
    return {k: np.asarray(v) for k, v in name_weights(seeing).items()}


def _observing_said() -> dict:
    return {"format": NETWORK_FORMAT, **said(), "observation": 2}


def test_opening_reads_the_header_alone(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(good())
    assert recurrent.can_open(path)
    assert recurrent.read_family(path) == SMALL.with_bank("bank:4@2").name
    length = int.from_bytes(good()[:8], "little")
    path.write_bytes(good()[: 8 + length])  # ours, though its weights are gone
    assert recurrent.can_open(path)
    for case in ("empty", "pickle", "header nested deep", "no metadata", "a later format", "cut in the header"):
        path.write_bytes(BROKEN[case][0]())
        assert not recurrent.can_open(path)
    assert not recurrent.can_open(tmp_path / "gone")
    assert not recurrent.can_open(tmp_path)


SHIPPED = {"unlimited": ("gru", "unlimited"), "bank_of_four": ("gru", "bank:4@14"), "memoryless": ("none", "unlimited")}
REGRESSION = {
    "regression_4": ("transformer", "bank:4@0"),
    "regression_16": ("transformer", "bank:16@0"),
    "regression_256": ("transformer", "bank:256@0"),
    "regression_unlimited": ("transformer", "unlimited"),
}


def test_what_ships_says_how_it_was_made_and_is_small():
    shipped = recurrent.list_shipped()
    assert shipped.keys() == SHIPPED.keys() | REGRESSION.keys()
    assert sum(p.stat().st_size for p in shipped.values()) < 4_000_000
    for name, path in shipped.items():
        told = recurrent.read_metadata(path)
        assert (told["memory"], told["trained_on"]) == (SHIPPED | REGRESSION)[name]
        made = "in_context_transformer" if name in REGRESSION else "ppo_recurrent"
        assert told["recipe"] == made
        spec, _, rest = told["command"].removeprefix("mesascope train ").partition(" --family ")
        recipe, given = parse_spec(spec)
        assert (recipe, rest) == (made, f"{told['family']} --out DIR")
        assert convert_settings(get_factory("recipes", recipe), given, recipe) == told["settings"]
        assert told["versions"]["jax"]
        assert len(told["commit"]) == 12
        assert str(Path.home()) not in json.dumps(told)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_does_what_it_was_trained_for(name):
    path = recurrent.list_shipped()[name]
    task = make("families", recurrent.read_family(path))
    subject = make("subjects", f"recurrent:path={name}", task)
    assert subject.name == f"recurrent:path={name}"
    before = subject.hash_weights()
    conditions = [Intact(), reset(), *(shuffled(0, r) for r in range(4))]
    trials = rollout(subject, task, lifetimes=512, conditions=conditions).isel(trial=slice(50, None))
    gain = (trials.score - trials.chance).sum(("lifetime", "trial")) / (trials.best - trials.chance).sum()
    intact, reset_, *blind = gain.values
    assert np.mean(blind) == pytest.approx(0, abs=0.05)
    if name == "memoryless":
        assert (trials.action[0] == trials.action[1]).all()
        assert 0.4 < intact < 0.6  # win-stay-lose-shift has .54
    else:
        assert intact > reset_ + 0.15
        assert (intact > 0.84) == (name == "unlimited")
    assert subject.hash_weights() == before == recurrent.subject(task, name).hash_weights()


@pytest.mark.slow
@pytest.mark.parametrize("name", REGRESSION)
def test_what_ships_predicts_as_it_was_trained_to(name):
    """Squared distances / D on fresh tasks and at full context, as studies/task_diversity_regression has them."""
    task = make("families", recurrent.read_family(recurrent.list_shipped()[name]))
    trials = rollout(make("subjects", f"recurrent:path={name}", task), task, lifetimes=1024)
    told = trials.action.values[0]
    ridge = replay(make("subjects", "ridge", task), trials).action
    y = trials.feedback.values[0]
    error = np.square(told - y)[:, -1].mean() / np.square(ridge - y)[:, -1].mean()
    if name == "regression_unlimited":
        assert error < 1.15
    if name in ("regression_4", "regression_16"):
        assert error > 2
    if name == "regression_4":
        locator = replay(make("subjects", "dmmse", task), trials).action
        assert np.square(told - locator).mean() < np.square(told - ridge).mean()
