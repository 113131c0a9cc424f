"""Small files that ask for much: each is refused in one sentence, at once, before it gets any of it."""

from __future__ import annotations

import base64
import io
import json
import pickle
import resource
import struct
import time
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from mesascope import trials
from mesascope.agents import pickles as _pickles
from mesascope.agents import sb3_zip as _sb3_zip
from mesascope.agents import tensors as _tensors
from mesascope.agents.language import llama_cpp, transformers  # noqa: F401
from mesascope.agents.networks import recurrent
from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.examination import bench, examination, runs  # noqa: F401 (imported before time counts)
from mesascope.guards import limits
from mesascope.logs import read_log
from mesascope.reproduction import run as reproduction  # noqa: F401 (imported before time counts)
from mesascope.worlds.bandits.families.bernoulli_bandit import family

try:
    import pyarrow as arrow
    from pyarrow import compute, parquet  # noqa: F401
except ImportError:
    arrow = None
MOST = 1 << 30  # bytes
SOON = 3.0  # seconds


@pytest.fixture(autouse=True)
def bounded(tmp_path, monkeypatch):
    """Within a folder; neither time nor memory may pass the bounds. Called, it begins to count anew."""
    monkeypatch.chdir(tmp_path)
    began, held = [time.process_time()], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield lambda: began.append(time.process_time())
    assert time.process_time() - began[-1] < SOON
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) << 10 < MOST


def refused(call, *told):
    """The sentence with which a call refuses."""
    with pytest.raises(MesascopeError) as error:
        call(*told)
    assert len(error.value.problem) < 500
    return error.value.problem


def agent(**entries):
    """A zip of stable-baselines3 with these pickles."""
    told = {k: {":serialized:": base64.b64encode(v).decode()} for k, v in entries.items()}
    with zipfile.ZipFile("agent.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("data", json.dumps(told))
        made.writestr("policy.pth", b"")
    return _sb3_zip.read_agent_file("agent.zip")


def nested():
    """A list that unrolls to 2^60."""
    out = []
    for _ in range(60):
        out = [out, out]
    return pickle.dumps(out)


def doubled():
    """A tuple of 2^60, used as a key: it would be hashed."""
    grown = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    return b"\x80\x02})" + grown + b"Ns."


def circle():
    out = []
    out.append(out)
    return pickle.dumps(out)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (nested(), "expands to too many values"),
        (b"\x80\x02" + b"]" + b"]" * 3000 + b"a" * 3000 + b".", "nested too deeply"),
        (circle(), "contains itself"),
        (doubled(), "dictionary keys is nested"),
        (b"\x80\x05\x96" + struct.pack("<Q", 10**11) + b".", "not a valid pickle"),
    ],
    ids=["nested lists", "deep lists", "a circle", "nested keys", "announced bytes"],
)
def test_pickles(data, why):
    assert why in refused(agent(policy_kwargs=data).read_entry, "policy_kwargs")


def test_plain_pickles_are_read_as_before():
    shared = (1, 2)
    told = {"a": [shared, shared, {"b": {(1, "x"): b"abc"}}], 3: {1, 2}, "c": frozenset([shared])}
    assert _pickles.read_pickle(pickle.dumps(told), "it") == told


NUMBER = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f4'\nI0\nI1\ntRS'\\x00\\x00\\x00\\x00'\ntR"
BOX = b"cgymnasium.spaces.box\nBox\n)\x81}(S'low'\n" + NUMBER + b"S'high'\n" + NUMBER
SPACES = {
    "Box": BOX + b"S'dtype'\ncnumpy\nfloat32\nS'_shape'\n(L10000000000L\ntub.",
    "MultiBinary": b"cgymnasium.spaces.multi_binary\nMultiBinary\n)\x81}S'n'\nL10000000000L\nsb.",
    "MultiDiscrete": b"cgymnasium.spaces.multi_discrete\nMultiDiscrete\n)\x81}S'nvec'\n(L10000000000L\ntsb.",
}


@pytest.mark.parametrize("kind", SPACES)
def test_spaces_of_ten_thousand_million_numbers(kind):
    held = agent(observation_space=SPACES[kind])
    assert "it has 10,000,000,000" in refused(_sb3_zip.read_space, held, "observation_space")


def test_zips_that_unpack_to_much():
    with zipfile.ZipFile("agent.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("data", b"[" + b"0," * 6_000_000 + b"0]")
        made.writestr("policy.pth", b"")
    assert "contains more than 5,000,000 values" in refused(_sb3_zip.read_agent_file, "agent.zip")


def weights(value, change=lambda data: data, packed=zipfile.ZIP_STORED, **named):
    """A file as torch.save writes it, with this pickle; `named` are its members."""
    with zipfile.ZipFile("net.pt", "w", packed) as made:
        made.writestr("net/data.pkl", value)
        for name, data in named.items():
            made.writestr(f"net/data/{name[1:]}", data)
    return _tensors.check_tensor_file, "net.pt"


def tensor(count, offset, size, stride, kind=b"FloatStorage"):
    """The pickle of a state dict with one tensor."""
    kept = b"(X\x07\x00\x00\x00storagectorch\n" + kind + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + count + b"tQ"
    return (
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n("
        + kept + offset + b"(" + size + b"t(" + stride + b"t\x89NtRs."
    )  # fmt: skip


def number(n):
    return pickle.dumps(n, 2)[2:-1]


LARGE, NONE, ONE = number(10**11), number(0), number(1)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (tensor(ONE, NONE, LARGE, NONE), "but stores 1 numbers"),  # a step of 0
        (tensor(ONE, NONE, LARGE, ONE), "but stores 1 numbers"),
        (tensor(ONE, LARGE, ONE, ONE), "but stores 1 numbers"),
        (tensor(LARGE, NONE, LARGE, ONE), "but 4 bytes are stored"),
        (tensor(number(-5), NONE, ONE, ONE), "numbers"),
        (b"\x80\x02ctorch\nFloatTensor\n" + LARGE + b"\x85R.", "a FloatTensor, which mesascope does not read"),
        (b"\x80\x02cbuiltins\nbytearray\n" + LARGE + b"\x85R.", "a bytearray, which mesascope does not read"),
        (b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n)R.", "a sparse_tensor, which mesascope does not read"),
        (nested(), "expands to too many values"),
    ],
    ids=["stride 0", "resized", "offset", "storage", "negative", "made", "bytes", "sparse", "nested"],
)
def test_files_of_weights(value, why):
    measure, path = weights(value, _0=bytes(4))
    with pytest.raises(ValueError, match=why):
        measure(path)
    measure, path = weights(tensor(ONE, NONE, ONE, ONE), _0=bytes(4))
    measure(path)


def test_files_of_weights_that_are_packed():
    measure, path = weights(tensor(LARGE, NONE, ONE, ONE), packed=zipfile.ZIP_DEFLATED, _0=bytes(1 << 20))
    with pytest.raises(ValueError, match="compressed"):
        measure(path)


def nested_groups(file):
    for _ in range(3000):
        file = file.create_group("g")


def circle_of_links(file):
    file.create_group("a")["b"] = file["/"]


def a_thousand_links(file):
    held = file.create_group("a")
    for i in range(1000):
        file[f"l{i}"] = held


def announced(file):
    file.create_dataset("a", (10**12,), "f4", chunks=(1024,))


def packed(file):
    file.create_dataset("a", data=np.zeros(200 << 20, "i1"), compression="gzip")


def chunks(file):
    file.create_dataset("a", (10,), "f4", chunks=(10**9,), maxshape=(None,))


def another_file(file):
    file["a"] = h5py.ExternalLink("/etc/passwd", "/")


def another_file_s_bytes(file):
    file.create_dataset("a", (10,), "i1", external=[("/etc/passwd", 0, 10)])


def an_attribute_of_texts(file):
    file.attrs.create("a", ["x" * 1000] * 100, dtype=h5py.string_dtype())


def texts(file):
    file.create_dataset("a", (10**8,), h5py.string_dtype(), chunks=(1000,), compression="gzip")


def packed_twice(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((1 << 20,))
    plan.set_deflate(9)
    plan.set_deflate(9)
    space = h5py.h5s.create_simple((1 << 20,))
    h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_INT8, space, plan)


def a_chunk_of_more(file):
    held = file.create_dataset("a", (1 << 20,), "i1", chunks=(1 << 20,), compression="gzip")
    held.id.write_direct_chunk((0,), zlib.compress(bytes(100 << 20), 1))


TREES = {
    nested_groups: "nested too deeply",
    circle_of_links: "contain themselves",
    a_thousand_links: "contain themselves",
    announced: "unpack to 4,000,000,000,000 bytes",
    packed: "unpack to 209,715,200 bytes",
    chunks: "chunks of 4,000,000,000 bytes",
    another_file: "link to another place or file",
    another_file_s_bytes: "stored in another file",
    an_attribute_of_texts: "its attribute 'a' is too large",
    texts: "100,000,000 texts",
    packed_twice: "compressed in a way that is not supported",
    a_chunk_of_more: "unpacks to more than the declared 1,048,576 bytes",
}


@pytest.mark.parametrize("build", TREES, ids=lambda build: build.__name__)
def test_trials(build):
    with h5py.File("trials.nc", "w") as file:
        build(file)
    assert TREES[build] in refused(trials.open_trials, "trials.nc")


@pytest.mark.parametrize("named", ['{"score": "nowhere"}', '{"nothing": "fresh"}', "[1]", '{"score": ["fresh"]}', "{"])
def test_variables_that_are_said_to_be_stored_elsewhere(named):
    with h5py.File("trials.nc", "w") as file:
        file.create_group("fresh").attrs["stored_in"] = named
    assert "is not a netCDF file of trials" in refused(trials.open_trials, "trials.nc")


def test_arrays():
    head = io.BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(head, told)
    for data in (head.getvalue(), bytes(200 << 20)):
        with zipfile.ZipFile("a.npz", "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("a.npy", data)
        assert "is not a finished rollout" in refused(bench.load_rollout, Path("a.npz"))


def test_parquet():
    if not arrow:
        pytest.skip("needs pyarrow")
    same = arrow.DictionaryArray.from_arrays(np.zeros(10_000, "i4"), ["x" * 100_000])
    parquet.write_table(arrow.table({"participant": same, "choice": np.zeros(10_000, int)}), "a.parquet")
    assert "unpack to 1,000,000,000 bytes" in refused(read_log, "a.parquet")
    parquet.write_table(arrow.table({"choice": [["a"]] * 9, "reward": [1] * 9}), "a.parquet")
    assert "lists of texts" in refused(read_log, "a.parquet")
    numbers = arrow.table({"key.choice": ["left", "right", None] * 4, "reward": np.arange(12) % 2})
    parquet.write_table(numbers, "b.parquet")
    assert limits.read_parquet("b.parquet").equals(numbers)


LOGS = {
    "wide.csv": (",".join(map(str, range(20_000))) + "\n") * 2,
    "wide.jsonl": "\n".join(json.dumps({f"c{i}": 1}) for i in range(20_000)),
    "deep.jsonl": "[" * 100_000 + "]" * 100_000,
}


@pytest.mark.parametrize("name", LOGS)
def test_logs(name):
    Path(name).write_text(LOGS[name])
    assert refused(read_log, name)


def test_settings_that_are_nested():
    Path("plan.toml").write_text("a = " + "[" * 20_000 + "]" * 20_000)
    Path("expects.toml").write_text("")
    assert run_command(["reproduce", "."]) == 2
    Path("findings.json").write_text("[" * 100_000)
    assert run_command(["report", "."]) == 2
    Path("index.json").write_text("{}")
    Path("config.json").write_text("[" * 100_000)
    assert "nested too deeply" in refused(transformers.load_model, ".")


def test_headers_that_announce_much(capsys):
    Path("net.safetensors").write_bytes(struct.pack("<Q", 100 << 30) + b"{}")
    assert "header of 107,374,182,400 bytes" in refused(recurrent.subject, family(), "net.safetensors")
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"a"
    for told in (
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0),
        header + struct.pack("<IIQ", 9, 6, 10**11),
        header + struct.pack("<IIQ", 9, 8, 10**11),
        header + struct.pack("<IQ", 8, 1 << 63),
        header + struct.pack("<I", 99),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<QIQQIQ", 0, 2, 10**6, 10**6, 0, 0),
    ):
        Path("net.gguf").write_bytes(told)
        told = ["examine", "net.gguf", "--family", "word_labels:trials=5", "--out", "o"]
        assert run_command(told) == 2
        assert "is not a valid GGUF file" in capsys.readouterr().err


def test_what_is_no_file_is_not_read():
    with pytest.raises(ValueError, match="not a regular file"):
        limits.read_file("/dev/zero", limits.MAX_SETTINGS_BYTES)


@pytest.mark.slow  # its own process; CI runs it
def test_a_folder_of_transformers_that_asks_for_more_than_it_holds(bounded):
    pytest.importorskip("transformers.models.gpt2.modeling_gpt2")
    bounded()
    tokenizers = pytest.importorskip("tokenizers")
    tokens = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    tokens.save("tokenizer.json")
    Path("tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    told = {"model_type": "gpt2", "n_embd": 1 << 16, "n_layer": 4000, "n_head": 1, "architectures": ["GPT2LMHeadModel"]}
    Path("config.json").write_text(json.dumps(told))
    Path("model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    assert "more weights than fit in its" in refused(transformers.load_model, ".")
