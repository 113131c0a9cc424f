"""Checks the sizes of tensors that a file of torch.save declares, before torch allocates memory for them."""

import io
import math
import zipfile
from typing import Any

from mesascope.agents import pickles as _pickles
from mesascope.guards import limits

BYTES_PER_NUMBER = {
    **{"DoubleStorage": 8, "LongStorage": 8, "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16},
    **{"FloatStorage": 4, "IntStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "ShortStorage": 2},
    **{"CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "UntypedStorage": 1},
}  # the number of bytes of one number, by the class of storage
REBUILD_FUNCTIONS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
NAMES_WITHOUT_STORAGE = (
    "_rebuild_parameter",
    "Size",
    "device",
    "_get_layout",
    "set",
    "complex",
)  # they allocate no tensors
N_LEADING_PICKLES = 3  # the number of pickles before the tensors, in files of torch before 1.6


def check_tensor_file(source: Any) -> None:
    """Refuses a file that declares larger tensors than it stores, or that stores tensors in an unknown form.

    Args:
        source: the path of the file, or its bytes in a BytesIO.

    Raises:
        ValueError: the file is refused; the exception's text gives the reason.
    """
    is_in_memory = isinstance(source, io.BytesIO)
    stored_bytes = source.getbuffer().nbytes if is_in_memory else limits.get_file_size(source)
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            _check_archive(archive, stored_bytes)
    else:
        with io.BytesIO(source.getvalue()) if is_in_memory else open(source, "rb") as file:
            content = _pickles.read_tensors(file.read(_pickles.MAX_BYTES), N_LEADING_PICKLES)
        _check_tensors(content, {}, stored_bytes)
    if is_in_memory:
        source.seek(0)


def _check_archive(archive: zipfile.ZipFile, stored_bytes: int) -> None:
    """Checks every pickle of tensors in a zip whose file has `stored_bytes` bytes."""
    members = limits.list_zip_members(archive, stored_bytes)
    if any(name.endswith("/constants.pkl") for name in members):
        return  # TorchScript, which is refused elsewhere
    if any(x.compress_type != zipfile.ZIP_STORED for x in members.values()):
        raise ValueError("one of its members is compressed")
    limits.check_array(sum(x.file_size for x in members.values()), stored_bytes, "what it contains")
    for name in members:
        if name.endswith("data.pkl"):
            folder = name.removesuffix(".pkl")
            sizes = {n.removeprefix(f"{folder}/"): x.file_size for n, x in members.items()}
            _check_tensors(_pickles.read_tensors(archive.read(name)), sizes, 0)


def _check_tensors(content: Any, storage_sizes: dict[str, int], default_size: int) -> None:
    """Checks every tensor in a pickle, and every other object that the pickle would create.

    Args:
        content: the content of the pickle, read as data.
        storage_sizes: the number of bytes stored for each storage, by the storage's key.
        default_size: the number of bytes stored for a storage that is not in `storage_sizes`.
    """
    queue, visited = [content], set()
    while queue:
        value = queue.pop()
        if id(value) in visited:
            continue
        visited.add(id(value))
        queue += _pickles.list_parts(value)
        module, name = value.origin if isinstance(value, _pickles.InertObject) else ("", "")
        if name in REBUILD_FUNCTIONS and module == "torch._utils":
            _check_tensor(value.args, storage_sizes, default_size)
        elif module.partition(".")[0] in ("torch", "builtins", "__builtin__") and name not in NAMES_WITHOUT_STORAGE:
            raise ValueError(f"it contains a {name.removeprefix('_rebuild_')}, which mesascope does not read")


def _check_tensor(arguments: tuple[Any, ...], storage_sizes: dict[str, int], default_size: int) -> None:
    """Checks one tensor, given the arguments of the function that rebuilds it."""
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, _pickles.StorageReference):
        raise ValueError("one of its tensors has no numbers")
    _, storage_class, key, _, count = storage.args[:5]
    number_bytes = BYTES_PER_NUMBER[(_pickles.find_reference(storage_class) or ("", ""))[1]]
    limits.check_array(count * number_bytes, storage_sizes.get(str(key), default_size), f"tensor {key}")
    size, last = math.prod(shape), offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if min(*shape, *strides, offset, count, 0) < 0 or size > count or (size and last >= count):
        raise ValueError(f"it declares a tensor of shape {tuple(shape)}, but stores {count:,} numbers")
