"""Checks where an ONNX file stores its weights, and which operators it needs, before onnxruntime loads the file."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from mesascope.agents.foreign import FileKind
from mesascope.contracts import import_optional_package
from mesascope.errors import MesascopeError
from mesascope.guards.identity import hash_array

ONNX = FileKind("ONNX file", "Name an .onnx file.", "Copy it again, or export it again.")
MAX_BYTES = 2 << 30  # bytes, because no protobuf message can be larger
STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")
# operators that call or open something outside the file
UNSAFE_OPERATORS = ("EPContext", "PythonOp", "PythonOpGrad", "TorchEmbedding", "ATen")


def read_model(path: str) -> Any:
    """Reads and checks a model, without its external weights.

    Raises:
        MesascopeError: the file does not exist, is broken or too large, stores weights outside its folder, or needs
            custom operators.
    """
    onnx = import_optional_package("onnx", "onnx")
    with ONNX.explain_errors(path):
        if (size := os.path.getsize(path)) > MAX_BYTES:
            remedy = "Export it with its weights in a file beside it, because an ONNX file has at most 2 GB."
            raise MesascopeError(f"{path!r} has {size:,} bytes.", remedy)
        model = onnx.load_model_from_string(Path(path).read_bytes())
    if not model.HasField("graph") or not model.graph.node or not model.opset_import:
        raise ONNX.make_error(path, "it contains no graph")
    _refuse_outside_weights(path, model)
    _refuse_custom_operators(path, model)
    _refuse_large_arrays(path, model)
    return model


def hash_weights(path: str, model: Any) -> dict[str, str]:
    """Computes the hash of every weight by its name, including weights in files beside the model."""
    to_array = import_optional_package("onnx.numpy_helper", "onnx").to_array
    folder = str(Path(path).resolve().parent)
    try:
        arrays = {t.name or f"constant {i}": to_array(t, folder) for i, t in enumerate(list_tensors(model))}
    except Exception as error:
        raise ONNX.make_error(path, f"a weight cannot be read: {error}") from None
    return {name: hash_array(value) for name, value in sorted(arrays.items()) if value.dtype.kind in "fiubc"}


def list_tensors(model: Any) -> Iterator[Any]:
    """Yields every tensor of a model: initialisers and constants, including those in subgraphs and functions."""
    for graph in _list_graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                if attribute.HasField("sparse_tensor"):
                    yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)


def find_recurrent_operators(model: Any) -> list[str]:
    """Finds which recurrent layers (GRU, LSTM, RNN) a model contains."""
    return sorted({n.op_type for graph in _list_graphs(model) for n in graph.node} & {"GRU", "LSTM", "RNN"})


def _list_graphs(model: Any) -> Iterator[Any]:
    """Yields a model's graph, its nested graphs, its functions and its training graphs."""
    queue = [model.graph, *model.functions]
    queue += [g for t in model.training_info for g in (t.initialization, t.algorithm)]
    while queue:
        graph = queue.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                queue += [attribute.g] if attribute.HasField("g") else []
                queue += list(attribute.graphs)


def _refuse_outside_weights(path: str, model: Any) -> None:
    """Raises `MesascopeError` if weights would be read from outside the model's folder or beyond a file's end."""
    folder = Path(path).resolve().parent
    for tensor in list_tensors(model):
        reference = {entry.key: entry.value for entry in tensor.external_data}
        if tensor.data_location != 1 and not reference:
            continue
        location = reference.get("location", "")
        parts = PureWindowsPath(location)  # splits at both kinds of slashes
        is_inside = location and not parts.anchor and ".." not in parts.parts
        if not is_inside or not (folder / location).resolve().is_relative_to(folder):
            weight = f"{path!r} stores the weight {tensor.name!r}"
            remedy = "Export the model with its weights inside it, or in a file in the same folder."
            raise MesascopeError(f"{weight} outside its folder, in {location!r}, which is not read.", remedy)
        if not (folder / location).is_file():
            problem = f"{path!r} stores the weight {tensor.name!r} in {location!r}, which does not exist."
            raise MesascopeError(problem, "Copy that file into the model's folder.")
        size = os.path.getsize(folder / location)
        try:
            offset, length = int(reference.get("offset", 0)), int(reference.get("length", 0))
        except ValueError:
            raise ONNX.make_error(path, f"the weight {tensor.name!r} has a position that is not a number") from None
        if offset < 0 or length < 0 or offset + length > size:
            raise ONNX.make_error(path, f"the weight {tensor.name!r} ends beyond the {size:,} bytes of {location!r}")


def _refuse_large_arrays(path: str, model: Any) -> None:
    """Raises `MesascopeError` if the runtime would have to allocate far more numbers than the file stores."""
    inference = import_optional_package("onnx.shape_inference", "onnx")
    try:
        inferred = inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # onnx's own errors; an unknown shape raises no error here
        raise ONNX.make_error(path, f"its shapes cannot be found: {str(error).strip()[:200]}") from None
    graphs = [g for g in _list_graphs(inferred) if hasattr(g, "initializer")]
    shapes = [v.type.tensor_type.shape.dim for g in graphs for v in (*g.value_info, *g.output)]
    shapes += [t.dims for t in list_tensors(model)]
    size = max((math.prod(max(1, getattr(d, "dim_value", d)) for d in s) for s in shapes), default=0)
    if size > MAX_BYTES // 8:
        raise ONNX.make_error(path, f"it would allocate {size:,} numbers at once")


def _refuse_custom_operators(path: str, model: Any) -> None:
    """Raises `MesascopeError` if the model needs operators from a custom library."""
    own_functions = {(f.domain, f.name) for f in model.functions}
    operators = {(node.domain, node.op_type) for graph in _list_graphs(model) for node in graph.node}
    needed = operators - own_functions
    unsafe = [(domain, name) for domain, name in needed if domain not in STANDARD_DOMAINS or name in UNSAFE_OPERATORS]
    if unsafe:
        names = sorted(f"{domain or 'ai.onnx'}:{name}" for domain, name in unsafe)
        problem = f"{path!r} needs custom operators: {', '.join(names[:8])}. Custom libraries are never loaded."
        raise MesascopeError(problem, "Export it with standard operators only.")
