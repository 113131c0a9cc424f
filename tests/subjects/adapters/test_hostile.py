"""Files that would run code, that are broken, or that ask for more than the machine has: an error each, nothing run."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'sb3'")
pytest.importorskip("sb3_contrib", reason="needs the extra 'sb3'")

from stable_baselines3 import PPO  # noqa: E402
from stable_baselines3.common.policies import ActorCriticPolicy  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize  # noqa: E402

from mesascope import FamilyEnv, catalogue, rollout  # noqa: E402
from mesascope.agents.opening import find_adapter, open_subject  # noqa: E402
from mesascope.cli.main import run_command  # noqa: E402
from mesascope.errors import MesascopeError, MesascopeWarning  # noqa: E402
from tests.subjects.adapters import agents  # noqa: E402

SMALL = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
HERE = "tests.subjects.adapters.agents"


class Trap:
    """Unpickled by Python it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def trap(tmp_path):
    """Where a trap would leave its mark; nothing may stand there at the end."""
    mark = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(mark)))
    assert mark.exists()  # it works
    mark.rmdir()
    yield mark
    assert not mark.exists()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "agent.zip"
    PPO("MlpPolicy", FamilyEnv(SMALL), policy_kwargs={"net_arch": [4]}, device="cpu").save(path)
    return path


def test_a_hostile_pickle_where_nothing_is_needed_is_not_even_read(plain, trap, tmp_path):
    names = ("lr_schedule", "clip_range", "ep_info_buffer", "_last_obs", "rollout_buffer_class")
    bad = agents.rewritten(plain, tmp_path / "bad.zip", **{k: agents.pickled(Trap(trap)) for k in names})
    with pytest.raises(FileExistsError):  # stable-baselines3 itself runs it
        trap.mkdir()
        PPO.load(bad, device="cpu")
    trap.rmdir()
    assert rollout(open_subject(bad, SMALL), SMALL, lifetimes=7).action.shape == (1, 7, 11)


@pytest.mark.parametrize("entry", ["policy_class", "policy_kwargs", "observation_space", "action_space"])
def test_a_hostile_pickle_where_something_is_needed_is_refused(plain, trap, tmp_path, entry, capsys):
    for value in (Trap(trap), {"activation_fn": Trap(trap)}, [Trap(trap)]):
        bad = agents.rewritten(plain, tmp_path / "bad.zip", **{entry: agents.pickled(value)})
        with pytest.raises(MesascopeError) as error:
            open_subject(bad, SMALL)
        told = str(error.value)
        assert "would run code" in told and "--trust" in told if entry.startswith("policy") else entry in told
    assert run_command(["examine", bad, "--family", SMALL.name, "--out", str(tmp_path / "out")]) == 2
    assert "bad.zip" in capsys.readouterr().err


@pytest.mark.parametrize(
    "origin",
    [
        ("os", "system"),
        ("stable_baselines3.common.save_util", "open_path"),
        ("stable_baselines3.common.policies", "Path"),
        ("torch.nn.modules.module", "register_module_forward_hook"),
        ("sb3_contrib.common.recurrent.policies", "np"),
    ],
)
def test_names_of_other_things_than_policies_are_refused(plain, tmp_path, origin):
    module, name = (x.encode() for x in origin)
    named = b"c" + module + b"\n" + name + b"\n."
    entry = {":type:": "x", ":serialized:": base64.b64encode(named).decode()}
    with pytest.raises(MesascopeError, match="--trust"):
        open_subject(agents.rewritten(plain, tmp_path / "a.zip", policy_class=entry), SMALL)
    layer = b"(dS'activation_fn'\n" + named[:-1] + b"s."
    entry = {":type:": "x", ":serialized:": base64.b64encode(layer).decode()}
    with pytest.raises(MesascopeError, match="--trust"):
        open_subject(agents.rewritten(plain, tmp_path / "b.zip", policy_kwargs=entry), SMALL)


class Own(ActorCriticPolicy):
    """A class of the user's own."""


def test_a_class_of_the_user_s_own_opens_with_trust(tmp_path, capsys):
    model = PPO(Own, FamilyEnv(SMALL), policy_kwargs={"net_arch": [4]}, device="cpu")
    path = str(tmp_path / "own.zip")
    model.save(path)
    with pytest.raises(MesascopeError, match=r"policy_class is .*Own, and unpickling it would run code"):
        open_subject(path, SMALL)
    one = open_subject(path, SMALL, trust=True)
    assert type(one.module).__name__ == "Own"
    assert one.hash_weights() == resolve_plainly(model)
    with pytest.raises(MesascopeError, match="has no setting 'trust'"):
        open_subject(f"sb3:path={path},trust=true", SMALL)
    told = ["examine", path, "--family", SMALL.name, "--splits", "fresh", "--metrics", "benefit", "--lifetimes", "64"]
    assert run_command([*told, "--out", str(tmp_path / "a")]) == 2
    assert "add --trust" in capsys.readouterr().err
    assert run_command([*told, "--out", str(tmp_path / "b"), "--trust", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["subjects"][0]["subject"] == f"sb3:path={path},stochastic=True"


def resolve_plainly(model):
    from mesascope.guards.identity import hash_array

    return {k: hash_array(v.numpy()) for k, v in sorted(model.policy.state_dict().items())}


def test_broken_zips_say_what_is_wrong(plain, tmp_path):
    whole, path = plain.read_bytes(), tmp_path / "x.zip"
    spoilt = bytearray(whole)
    spoilt[len(whole) // 3] ^= 255
    for content in (whole[: len(whole) // 2], whole[:-30], b"", b"PK\x05\x06" + b"\0" * 18, bytes(spoilt[:-9])):
        path.write_bytes(content)
        if content[:4] != b"PK\x05\x06":
            assert find_adapter(str(path)) == "sb3"
        with pytest.raises(MesascopeError, match="is not a valid agent of stable-baselines3"):
            catalogue.make("subjects", f"sb3:path={path}", SMALL)
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("data", "{")
        made.writestr("policy.pth", b"")
    with pytest.raises(MesascopeError, match="is not a valid agent"):
        open_subject(str(path), SMALL)
    with pytest.raises(MesascopeError, match="There is no file"):
        open_subject(str(tmp_path / "gone.zip"), SMALL)


def test_memory_is_bounded_by_the_file(plain, tmp_path):
    wide = {"net_arch": [60000, 60000]}
    with pytest.raises(MesascopeError, match="its settings define more weights than the"):
        open_subject(agents.rewritten(plain, tmp_path / "wide.zip", policy_kwargs=wide), SMALL)
    with pytest.raises(MesascopeError, match="customised"):
        open_subject(agents.rewritten(plain, tmp_path / "wide.zip", policy_kwargs={"net_arch": [10**12]}), SMALL)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("data", "{}")
        made.writestr("policy.pth", bytes(300 << 20))
    with pytest.raises(MesascopeError, match=r"policy.pth unpacks to 314,572,800 bytes"):
        open_subject(str(bomb), SMALL)
    kind = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"
    huge = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    huge += b"(I1\n(I99999999999\nt" + kind + b"I00\nS'x'\ntb."
    space = b"cgymnasium.spaces.box\nBox\n)\x81}(S'low'\n" + huge[:-1] + b"S'high'\nI1\nS'_shape'\n(I6\ntu" + b"b."
    entry = {":type:": "x", ":serialized:": base64.b64encode(space).decode()}
    with pytest.raises(MesascopeError, match="the number of its bytes does not agree with its shape"):
        open_subject(agents.rewritten(plain, tmp_path / "box.zip", observation_space=entry), SMALL)
    memo = {":type:": "x", ":serialized:": base64.b64encode(b"Nr\xff\xff\xff\x7f.").decode()}
    with pytest.raises(MesascopeError):
        open_subject(agents.rewritten(plain, tmp_path / "memo.zip", observation_space=memo), SMALL)


def test_weights_that_do_not_fit_or_are_code(plain, trap, tmp_path):
    def with_weights(content):
        with zipfile.ZipFile(plain) as held, zipfile.ZipFile(tmp_path / "w.zip", "w") as made:
            for name in held.namelist():
                made.writestr(name, content if name == "policy.pth" else held.read(name))
        return str(tmp_path / "w.zip")

    def saved(value):
        out = io.BytesIO()
        torch.save(value, out)
        return out.getvalue()

    with pytest.raises(MesascopeError, match=r"policy.pth.* besides weights, so reading it would run code"):
        open_subject(with_weights(saved({"a": Trap(trap)})), SMALL)
    with pytest.raises(MesascopeError, match=r"policy.pth.* is not a valid file of weights"):
        open_subject(with_weights(saved({"a": torch.zeros(3)})[:200]), SMALL)
    with pytest.raises(MesascopeError, match="does not fit the network"):
        open_subject(with_weights(saved({"a": torch.zeros(300)})), SMALL)
    with pytest.raises(MesascopeError, match="is not a state dict"):
        open_subject(with_weights(saved([1, 2])), SMALL)
    good = PPO.load(plain, device="cpu").policy.state_dict()
    good["action_net.bias"] = good["action_net.bias"] * float("nan")
    with pytest.raises(MesascopeError, match=r"action_net.bias are not all finite"):
        open_subject(with_weights(saved(good)), SMALL)


def test_a_state_dict_with_code_is_refused_and_a_factory_in_it_needs_trust(trap, tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"state_dict": agents.Recurrent().state_dict(), "x": Trap(trap)}, path)
    for spec in (str(path), f"torch_module:factory={HERE}:Recurrent,path={path}"):
        with pytest.raises(MesascopeError, match="contains objects besides weights, so reading it would run code"):
            open_subject(spec, SMALL)
        with pytest.raises(MesascopeError, match="contains objects besides weights"):
            open_subject(spec, SMALL, trust=True)
    torch.save({"state_dict": agents.Recurrent().state_dict(), "factory": f"{HERE}:Recurrent"}, path)
    with pytest.raises(
        MesascopeError, match=r"names the factory '.*', whose code would run. Read its code, then add --trust"
    ):
        open_subject(str(path), SMALL)
    assert (
        open_subject(str(path), SMALL, trust=True).hash_weights()
        == open_subject(f"torch_module:factory={HERE}:Recurrent,path={path}", SMALL).hash_weights()
    )
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"junk"):
        path.write_bytes(content)
        with pytest.raises(MesascopeError, match=r"is not a valid file of weights|contains objects besides weights"):
            open_subject(str(path), SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have one export instead
        torch.jit.trace(agents.Reflex(), torch.zeros(2, 6)).save(str(path))
    with pytest.raises(MesascopeError, match="TorchScript archive, which contains code"):
        open_subject(str(path), SMALL)


def test_a_hostile_or_foreign_vecnormalize_file(plain, trap, tmp_path):
    (tmp_path / "agent.zip").write_bytes(plain.read_bytes())
    path, beside = str(tmp_path / "agent.zip"), tmp_path / "vecnormalize.pkl"
    env = VecNormalize(DummyVecEnv([lambda: FamilyEnv(SMALL)]))
    env.save(str(beside))
    whole = beside.read_bytes()
    env.obs_rms.mean = Trap(trap)
    env.save(str(beside))
    for content in (beside.read_bytes(), pickle.dumps(Trap(trap)), pickle.dumps({"mean": np.zeros(6)})):
        beside.write_bytes(content)
        with pytest.raises(MesascopeError, match="no code in it was run"):
            open_subject(path, SMALL)
    for content in (whole[:100], b""):
        beside.write_bytes(content)
        with pytest.raises(MesascopeError, match="is not a valid pickle"):
            open_subject(path, SMALL)
    other = VecNormalize(
        DummyVecEnv([lambda: FamilyEnv(catalogue.make("families", "bernoulli_bandit:arms=4,trials=7"))])
    )
    other.save(str(beside))
    with pytest.raises(MesascopeError, match=r"for observations of shape \(7,\), but the agent's have shape \(6,\)"):
        open_subject(path, SMALL)
    assert open_subject(f"sb3:path={path},normalize=none", SMALL).statistics is None
    beside.write_bytes(whole)
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "vec_normalize.pkl").write_bytes(whole)
    with pytest.raises(MesascopeError, match=r"several VecNormalize files beside"):
        open_subject(path, SMALL)
    beside.unlink()
    with pytest.warns(MesascopeWarning, match="vec_normalize.pkl"):
        open_subject(path, SMALL)
