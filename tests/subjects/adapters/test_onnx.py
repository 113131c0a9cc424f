"""Networks in ONNX files: what torch exports reads as the module, and what a file must not reach for is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
onnx = pytest.importorskip("onnx", reason="needs the extra 'onnx'")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mesascope import catalogue, rollout  # noqa: E402
from mesascope.agents.opening import find_adapter, open_subject  # noqa: E402
from mesascope.contracts import identify  # noqa: E402
from mesascope.errors import MesascopeError, MesascopeWarning  # noqa: E402
from mesascope.rollouts.leaks import refuse_leaks  # noqa: E402
from tests.subjects.adapters.readings import FAMILY, same  # noqa: E402

SMALL = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A GRU that is Rescorla–Wagner, the module and the file that torch exports of it."""
    torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
    pytest.importorskip("onnxscript", reason="torch exports with onnxscript")
    from tests.subjects.adapters import agents

    net = agents.rescorla_wagner(agents.Recurrent())
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            net,
            (torch.zeros(2, 6), torch.zeros(1, 2, 3)),
            path,
            input_names=["x", "h"],
            output_names=["logits", "h_next"],
            dynamic_shapes={"x": {0: "lives"}, "state": {1: "lives"}},
            dynamo=True,
            verbose=False,
        )
    return net, path


def test_an_exported_gru_reads_as_rescorla_wagner(exported, reader):
    from mesascope.agents.torch_module import wrap

    net, path = exported
    assert find_adapter(str(path)) == "onnx"
    got = reader.read(str(path))
    same(got, reader.read("rescorla_wagner:rate=0.3,beta=5.0"))
    assert got[1].lowest in ("acquiring", "locating")
    one, module = open_subject(str(path), SMALL), wrap(net, SMALL)
    lived = rollout(one, SMALL, lifetimes=7, recorded_taps=["h"])
    twin = rollout(module, SMALL, lifetimes=7, recorded_taps=["gru.h"])
    assert np.allclose(lived["tap_h"].values, twin["tap_gru.h"].values, atol=1e-6)
    assert np.allclose(lived.log_probs.values, twin.log_probs.values, atol=1e-5)
    refuse_leaks(one, SMALL)


def model(nodes, inputs, outputs, weights=(), functions=(), opsets=(("", 18),)):
    def told(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "net",
        [told(*x) for x in inputs],
        [told(*x) for x in outputs],
        [numpy_helper.from_array(v, k) for k, v in weights],
    )
    sets = [helper.make_opsetid(*x) for x in opsets]
    return helper.make_model(graph, opset_imports=sets, ir_version=9, functions=list(functions))


def counting(batch="n", both=True, axis=0):
    """Its state counts what is pulled; its logits are the counts."""
    shape = [batch, 3] if axis == 0 else [1, batch, 3]
    nodes = [
        helper.make_node("MatMul", ["obs", "w"], ["pulled"]),
        helper.make_node("Add", ["counts", "pulled"], ["counts_out"]),
        helper.make_node("Reshape", ["counts_out", "flat"], ["logits"]),
    ]
    weights = [("w", np.eye(6, 3, dtype=np.float32)), ("flat", np.array([-1, 3]))]
    outputs = [("logits", [batch, 3])] + ([("counts_out", shape)] if both else [])
    return model(nodes, [("obs", [batch, 6]), ("counts", shape)], outputs, weights)


@pytest.mark.parametrize(("batch", "axis"), [("n", 0), ("n", 1), (1, 0), (1, 1), (5, 0)])
def test_states_of_any_layout_and_batches_of_one_size(tmp_path, batch, axis):
    path = tmp_path / "counts.onnx"
    onnx.save(counting(batch, axis=axis), path)
    one = open_subject(str(path), SMALL)
    lived = rollout(one, SMALL, lifetimes=7, recorded_taps=["counts"])
    pulled = np.eye(3)[lived.action.values[0]]
    before = np.cumsum(pulled, 1) - pulled
    assert np.allclose(lived["tap_counts"].values[0], before)
    told = np.exp(before) / np.exp(before).sum(-1, keepdims=True)
    assert np.allclose(np.exp(lived.log_probs.values[0]), told, atol=1e-5)
    assert one.hash_weights().keys() == {"w", "flat"}


def test_the_start_of_a_lifetime_is_fed_where_it_is_asked_for(tmp_path):
    nodes = [
        helper.make_node("Mul", ["episode_start", "w"], ["pushed"]),
        helper.make_node("MatMul", ["obs", "v"], ["seen"]),
        helper.make_node("Add", ["pushed", "seen"], ["logits"]),
    ]
    weights = [("w", np.array([[4, 0, 0]], np.float32)), ("v", np.zeros((3, 3), np.float32))]
    made = model(nodes, [("obs", ["n", 3]), ("episode_start", ["n", 1])], [("logits", ["n", 3])], weights)
    onnx.save(made, tmp_path / "starts.onnx")
    one = catalogue.make("subjects", f"onnx:path={tmp_path}/starts.onnx,observes=action", SMALL)
    told = np.exp(rollout(one, SMALL, lifetimes=7).log_probs.values[0])
    assert np.allclose(told[:, 1:], 1 / 3, atol=1e-6)
    assert np.allclose(told[:, 0, 0], np.exp(4) / (np.exp(4) + 2), atol=1e-6)


def test_a_missing_output_is_named(tmp_path):
    path = tmp_path / "half.onnx"
    onnx.save(counting(both=False), path)
    with pytest.raises(
        MesascopeError, match="takes the state 'counts' but does not return it: its only outputs are logits"
    ):
        open_subject(str(path), SMALL)
    onnx.save(counting(), path)
    with pytest.raises(MesascopeError, match=r"has no output 'scores'. Its outputs are: logits, counts_out"):
        catalogue.make("subjects", f"onnx:path={path},logits=scores", SMALL)
    wide = catalogue.make("families", "bernoulli_bandit:arms=4,trials=11")
    with pytest.raises(MesascopeError, match=r"takes 6 numbers, but .*has 7 for"):
        open_subject(str(path), wide)


def external(made, place, **told):
    weight = next(w for w in made.graph.initializer if w.name == "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": place, **told}.items():
        entry = weight.external_data.add()
        entry.key, entry.value = key, str(value)
    return made.SerializeToString()


def test_weights_beside_the_file_are_read_and_no_others(tmp_path):
    weights = np.eye(6, 3, dtype=np.float32)
    (tmp_path / "in").mkdir()
    (tmp_path / "outside.bin").write_bytes(weights.tobytes())
    (tmp_path / "in" / "beside.bin").write_bytes(weights.tobytes())
    (tmp_path / "in" / "link.bin").symlink_to(tmp_path / "outside.bin")
    path = tmp_path / "in" / "net.onnx"
    path.write_bytes(external(counting(), "beside.bin", length=72))
    one = open_subject(str(path), SMALL)
    before = identify(one)
    assert rollout(one, SMALL, lifetimes=7).action.shape == (1, 7, 11)
    (tmp_path / "in" / "beside.bin").write_bytes((2 * weights).tobytes())
    assert identify(open_subject(str(path), SMALL)) != before  # the file is the same, the weights are others
    for place in ("../outside.bin", str(tmp_path / "outside.bin"), "link.bin", "a/../../outside.bin", "..\\x", "C:\\x"):
        path.write_bytes(external(counting(), place, length=72))
        with pytest.raises(MesascopeError, match="outside its folder"):
            open_subject(str(path), SMALL)
    path.write_bytes(external(counting(), "gone.bin"))
    with pytest.raises(MesascopeError, match=r"'gone.bin', which does not exist"):
        open_subject(str(path), SMALL)
    path.write_bytes(external(counting(), "beside.bin", length=1 << 40))
    with pytest.raises(MesascopeError, match="ends beyond the 72 bytes"):
        open_subject(str(path), SMALL)


def test_operators_of_a_library_are_refused_wherever_they_stand(tmp_path):
    path = tmp_path / "custom.onnx"
    plain = counting()
    nested = helper.make_graph(
        [helper.make_node("Run", ["obs"], ["y"], domain="my.library")],
        "g",
        [],
        [helper.make_tensor_value_info("y", 1, None)],
    )
    for node in (
        helper.make_node("Run", ["obs"], ["y"], domain="my.library"),
        helper.make_node("PythonOp", ["obs"], ["y"], domain="com.microsoft"),
        helper.make_node("If", ["c"], ["y"], then_branch=nested, else_branch=nested),
    ):
        made = onnx.ModelProto.FromString(plain.SerializeToString())
        made.graph.node.insert(0, node)
        onnx.save(made, path)
        with pytest.raises(MesascopeError, match=r"needs custom operators: .*Custom libraries are never loaded"):
            open_subject(str(path), SMALL)
    own = helper.make_function(
        "here", "Run", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    nodes = [helper.make_node("MatMul", ["obs", "w"], ["p"]), helper.make_node("Run", ["p"], ["logits"], domain="here")]
    weights = [("w", np.eye(6, 3, dtype=np.float32))]
    sound = model(nodes, [("obs", ["n", 6])], [("logits", ["n", 3])], weights, [own], (("", 18), ("here", 1)))
    onnx.save(sound, path)
    assert open_subject(str(path), SMALL).observe.width == 6


def test_truncated_and_foreign_files_say_so(tmp_path):
    whole, path = counting().SerializeToString(), tmp_path / "net.onnx"
    for content in (whole[: len(whole) // 2], whole[:-3], b"", b"PK\x03\x04 no", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(MesascopeError, match="is not a valid ONNX file"):
            open_subject(str(path), SMALL)
    with pytest.raises(MesascopeError, match="There is no file"):
        open_subject(str(tmp_path / "gone.onnx"), SMALL)


def test_a_feed_forward_file_of_other_inputs_is_explained(tmp_path):
    path = tmp_path / "net.onnx"
    nodes = [helper.make_node("MatMul", ["obs", "w"], ["logits"])]
    onnx.save(model(nodes, [("obs", ["n", 4])], [("logits", ["n", 3])], [("w", np.ones((4, 3), np.float32))]), path)
    with pytest.raises(MesascopeError, match="takes 4 numbers"):
        open_subject(str(path), SMALL)
    one = catalogue.make("subjects", f"onnx:path={path},observes=action+feedback", FAMILY)
    assert np.allclose(np.exp(rollout(one, FAMILY, lifetimes=7).log_probs.values), 1 / 3, atol=1e-6)


def test_a_recurrent_layer_without_a_state_is_said_to_forget(tmp_path):
    nodes = [
        helper.make_node("Unsqueeze", ["obs", "zero"], ["row"]),
        helper.make_node("GRU", ["row", "w", "r"], ["", "h"], hidden_size=3),
        helper.make_node("Squeeze", ["h", "zero"], ["logits"]),
    ]
    weights = [("zero", np.array([0])), ("w", np.ones((1, 9, 6), np.float32)), ("r", np.ones((1, 9, 3), np.float32))]
    onnx.save(model(nodes, [("obs", ["n", 6])], [("logits", ["n", 3])], weights), tmp_path / "gru.onnx")
    with pytest.warns(MesascopeWarning, match="contains a GRU, but takes no state, so it forgets everything"):
        one = open_subject(str(tmp_path / "gru.onnx"), SMALL)
    assert not one.state
