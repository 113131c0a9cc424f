"""A PyTorch module as a subject: its state is the carry, its taps are named, and it reads as its native twin."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")

from mesascope import catalogue, rollout  # noqa: E402
from mesascope.agents.opening import find_adapter  # noqa: E402
from mesascope.agents.torch_module import wrap  # noqa: E402
from mesascope.contracts import Percept, identify  # noqa: E402
from mesascope.errors import MesascopeError  # noqa: E402
from mesascope.questions.activations.belief_edit import metric as belief_edit  # noqa: E402
from mesascope.rollouts.leaks import refuse_leaks  # noqa: E402
from mesascope.rollouts.replays import Replays, write_taps  # noqa: E402
from tests.subjects.adapters import agents  # noqa: E402
from tests.subjects.adapters.readings import FAMILY, chances, same  # noqa: E402

SMALL = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
HERE = "tests.subjects.adapters.agents"


def gru(seed=0, **settings):
    torch.manual_seed(seed)
    return agents.Recurrent(**settings)


def test_an_acquiring_gru_reads_as_rescorla_wagner(reader):
    one = wrap(agents.rescorla_wagner(agents.Recurrent()), FAMILY)
    got = reader.read(one)
    same(got, reader.read(f"rescorla_wagner:rate={agents.RATE},beta={agents.BETA}"))
    assert got[1].lowest in ("acquiring", "locating")  # it acquires; the exchanged splits were not run
    q = rollout(one, SMALL, lifetimes=7, recorded_taps=["gru.h"])["tap_gru.h"].values[0]
    lived = rollout(one, SMALL, lifetimes=7)
    value = np.full((7, 3), agents.INITIAL)
    for t in range(1, 11):  # by hand, from the acts and pay-offs
        for i in range(7):
            a, r = lived.action.values[0, i, t - 1], lived.feedback.values[0, i, t - 1]
            value[i, a] += agents.RATE * (r - value[i, a])
        assert np.allclose(q[:, t] / 0.5 + agents.INITIAL, value, atol=1e-5)


def test_a_reflex_reads_as_win_stay_lose_shift(reader):
    net = agents.Reflex()
    agents.reflex(net.hidden, net.out, 3)
    got = reader.read(wrap(net, FAMILY))
    twin = reader.read("win_stay_lose_shift")
    same(got, twin)
    assert got[1].level == "reactive"
    assert np.allclose(chances(got[0]), chances(twin[0]), atol=1e-6)


def test_a_trained_gru_in_a_file_is_examined(tmp_path, monkeypatch):
    net = gru(3, features=6)
    step = torch.optim.Adam(net.parameters(), 0.05)
    rng = np.random.default_rng(0)
    for _ in range(40):  # to repeat an arm that paid
        arm, paid = rng.integers(0, 3, 32), rng.integers(0, 2, 32)
        x = np.concatenate([np.eye(3)[arm], paid[:, None], np.zeros((32, 2))], 1)
        scores = net(torch.tensor(x, dtype=torch.float32))[0]
        likely = torch.log_softmax(scores, 1)[torch.arange(32), torch.tensor(arm)]
        loss = -(likely * torch.tensor(2.0 * paid - 1)).clamp(max=3).mean()
        step.zero_grad()
        loss.backward()
        step.step()
    path = tmp_path / "net.pt"
    torch.save(net.state_dict(), path)
    spec = f"torch_module:factory={HERE}:Recurrent,path={path}"
    one = catalogue.make("subjects", spec, SMALL)
    lived = rollout(one, SMALL, lifetimes=64)
    again = wrap(net, SMALL)
    assert (lived.action.values == rollout(again, SMALL, lifetimes=64).action.values).all()
    action, paid = lived.action.values[0], lived.feedback.values[0]
    stay = action[:, 1:] == action[:, :-1]
    assert stay[paid[:, :-1] == 1].mean() > stay[paid[:, :-1] == 0].mean() + 0.1
    assert one.name == f"{spec},stochastic=True"
    refuse_leaks(one, SMALL)


def test_the_same_seed_gives_the_same_lives_and_global_draws_are_left_alone():
    class Noisy(agents.Recurrent):
        def forward(self, x, state=None):
            scores, state = super().forward(x, state)
            return scores + torch.randn_like(scores), state

    one = wrap(Noisy(), SMALL)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = rollout(one, SMALL, lifetimes=7).action.values
    assert (torch.random.get_rng_state() == before).all()
    torch.manual_seed(6)
    assert (rollout(one, SMALL, lifetimes=7).action.values == first).all()
    assert (rollout(one, SMALL, lifetimes=7, seed=1).action.values != first).any()


def percept(n, trial=1, action=0, paid=1.0):
    still = np.zeros(n, np.int32)
    return Percept(np.zeros((n, 0)), still + action, still + np.float32(paid), still + trial, still, still > 0)


@pytest.mark.parametrize("kind", ["lstm", "two layers", "cell", "dict"])
def test_states_of_any_layout_are_carried_row_by_row(kind):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.core = {
                "lstm": torch.nn.LSTM(6, 5),
                "two layers": torch.nn.GRU(6, 5, num_layers=2),
                "cell": torch.nn.LSTMCell(6, 5),
                "dict": torch.nn.GRUCell(6, 5),
            }[kind]
            self.head = torch.nn.Linear(5, 3)

        def forward(self, x, state=None):
            if kind == "cell":
                state = self.core(x, state)
                return self.head(state[0]), state
            if kind == "dict":
                held = state or {"h": None, "count": torch.zeros(len(x), dtype=torch.int64)}
                h = self.core(x, held["h"])
                return self.head(h), {"h": h, "count": held["count"] + 1}
            y, state = self.core(x[None], state)
            return self.head(y[0]), state

    torch.manual_seed(1)
    net = Net()
    one = wrap(net, SMALL)
    known = {
        "lstm": {"core.h": 5, "core.c": 5},
        "two layers": {"core.h_l0": 5, "core.h_l1": 5},
        "cell": {"core.h": 5, "core.c": 5},
        "dict": {"state.0": 1, "core.h": 5},
    }
    carry = one.initialize_carry(7)
    assert {k: v.shape[1] for k, v in one.read_taps(carry).items()} == known[kind]
    state, key = None, jax.random.key(0)
    for t in range(4):  # as the module lives it alone
        seen = percept(7, t, action=t % 3, paid=t % 2)
        with torch.no_grad():
            scores, state = net(torch.tensor(one.observe(seen)), state)
        carry, response = one.respond(key, carry, seen)
        assert np.allclose(response.log_probs, torch.log_softmax(scores, 1), atol=1e-5)
    flipped = jax.tree.map(lambda x: np.asarray(x)[::-1], carry)
    assert np.allclose(
        one.respond(key, flipped, percept(7))[1].log_probs,
        one.respond(key, carry, percept(7))[1].log_probs[::-1],
        atol=1e-6,
    )
    half = jax.tree.map(
        lambda a, b: np.where(np.arange(7).reshape(-1, *[1] * (a.ndim - 1)) < 3, a, b), one.initialize_carry(7), carry
    )
    mixed = one.respond(key, half, percept(7))[1].log_probs
    whole = [one.respond(key, c, percept(7))[1].log_probs for c in (one.initialize_carry(7), carry)]
    assert np.allclose(mixed[:3], whole[0][:3], atol=1e-6)
    assert np.allclose(mixed[3:], whole[1][3:], atol=1e-6)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


def test_hooks_show_what_submodules_gave_and_cannot_be_written_to():
    net = gru(2)
    one = wrap(net, SMALL, hooks="head+gru")
    carry, seen = one.initialize_carry(7), percept(7)
    carry, response = one.respond(jax.random.key(0), carry, seen)
    taps = one.read_taps(carry)
    assert set(taps) == {"gru.h", "gru", "head"}
    assert np.allclose(torch.log_softmax(torch.tensor(taps["head"]), 1), response.log_probs, atol=1e-6)
    assert np.allclose(taps["gru"], taps["gru.h"], atol=1e-7)
    moved = write_taps(one, carry, {"gru.h": np.full((7, 3), 0.25, np.float32)})
    with torch.no_grad():
        after = net(torch.tensor(one.observe(seen)), torch.full((1, 7, 3), 0.25))[0]
    assert np.allclose(one.respond(jax.random.key(0), moved, seen)[1].log_probs, torch.log_softmax(after, 1), atol=1e-5)
    with pytest.raises(MesascopeError, match="cannot be changed"):
        write_taps(one, carry, {"head": np.zeros((7, 3), np.float32)})
    with pytest.raises(MesascopeError, match="The submodules are: gru, head"):
        wrap(net, SMALL, hooks="torso")
    assert not net.gru._forward_hooks


def test_writing_a_belief_into_its_state_moves_its_choice():
    one = wrap(agents.rescorla_wagner(agents.Recurrent()), FAMILY)
    lived = {"fresh": rollout(one, FAMILY, lifetimes=192)}
    reading = belief_edit().measure(lived, {}, Replays(one))[0]
    assert np.nanmean(reading.values) > 0.05  # NaN where a lifetime was not read


def test_every_weight_is_in_the_fingerprint_and_a_change_is_refused():
    class Counting(agents.Recurrent):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x, state=None):
            self.calls += 1
            return super().forward(x, state)

    net = gru()
    assert set(wrap(net, SMALL).hash_weights()) == set(net.state_dict())
    with pytest.raises(MesascopeError, match="changed while it ran: calls"):
        rollout(wrap(Counting(), SMALL), SMALL, lifetimes=7)
    one, other = wrap(gru(1), SMALL), wrap(gru(2), SMALL)
    assert identify(one) != identify(other)
    assert identify(one) == identify(wrap(gru(1), SMALL))
    assert identify(one) != identify(wrap(gru(1), SMALL, stochastic=False))


def test_a_module_that_remembers_by_itself_is_refused():
    class Leaking(agents.Recurrent):
        held = None

        def forward(self, x, state=None):
            scores, state = super().forward(x, state)
            if self.held is not None and self.held.shape == scores.shape:
                scores = scores + 0.5 * self.held
            self.held = scores
            return scores, state

    with pytest.raises(MesascopeError, match="depends on calls for other lifetimes"):
        refuse_leaks(wrap(Leaking(), SMALL), SMALL)


def test_the_untrained_twin_is_what_the_factory_makes(tmp_path):
    torch.save(agents.rescorla_wagner(agents.Recurrent()).state_dict(), tmp_path / "rw.pt")
    one = catalogue.make("subjects", f"torch_module:factory={HERE}:Recurrent,path={tmp_path / 'rw.pt'}", SMALL)
    twin, again = one.make_untrained_twin(4), one.make_untrained_twin(4)
    assert twin.hash_weights() == again.hash_weights() != one.hash_weights()
    assert one.make_untrained_twin(5).hash_weights() != twin.hash_weights()
    assert wrap(gru(), SMALL).make_untrained_twin(0) is None


@pytest.mark.parametrize("gives", ["logits", "probabilities", "values"])
def test_what_the_first_output_is_is_a_setting(gives):
    class Given(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[0.2, 0.7, 0.1]]).expand(len(x), 3)

    told = {
        "logits": np.exp([0.2, 0.7, 0.1]) / np.exp([0.2, 0.7, 0.1]).sum(),
        "probabilities": np.array([0.2, 0.7, 0.1]),
        "values": np.array([0.1, 0.8, 0.1]),
    }
    one = wrap(Given(), SMALL, output_kind=gives, epsilon=0.3)
    lived = rollout(one, SMALL, lifetimes=64)
    assert np.allclose(chances(lived), told[gives], atol=1e-5)
    share = np.bincount(lived.action.values.ravel(), minlength=3) / lived.action.size
    assert np.abs(share - told[gives]).max() < 0.08
    still = dataclasses.replace(one, is_stochastic=False)
    assert (rollout(still, SMALL, lifetimes=7).action.values == 1).all()


def test_mistakes_say_what_to_type(tmp_path):
    path = tmp_path / "net.pt"
    torch.save(gru().state_dict(), path)
    assert find_adapter(str(path)) == "torch_module"
    made = {
        f"torch_module:path={path}": "Type torch_module:factory=package.module:factory,path=",
        f"torch_module:factory={HERE}:Nothing,path={path}": "has no function 'Nothing'",
        f"torch_module:factory={HERE}:Reflex,path={path}": "does not fit the network",
        f"torch_module:factory={HERE}:Recurrent,path={tmp_path / 'gone.pt'}": "There is no file",
        f"torch_module:factory={HERE}:Recurrent,observes=action+nothing": "There is no part of the percept 'nothing'",
        f"torch_module:factory={HERE}:Recurrent,observes=action": "raised RuntimeError",
        f"torch_module:factory={HERE}:Recurrent,path={path},trust=true": "has no setting 'trust'",
        "torch_module": "Type torch_module:factory=package.module:factory",
    }
    for spec, told in made.items():
        with pytest.raises(MesascopeError) as error:
            catalogue.make("subjects", spec, SMALL)
        assert told in str(error.value), error.value
    wide = catalogue.make("families", "bernoulli_bandit:arms=4,trials=11")
    with pytest.raises(MesascopeError, match="gives 3 numbers, but bernoulli_bandit:arms=4,trials=11 has 4 actions"):
        wrap(gru(choices=3, features=7), wide)
    with pytest.raises(MesascopeError, match="no axis is the batch axis"):
        wrap(Sequences(), SMALL)
    assert wrap(Sequences(), SMALL, layout="time").state[0].batch_axis == 1


class Sequences(torch.nn.Module):
    """As users of sequences write it: time first."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = torch.nn.GRU(6, 5), torch.nn.Linear(5, 3)

    def forward(self, x, state=None):
        y, state = self.gru(x, state)
        return self.head(y), state
