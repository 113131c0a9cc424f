"""Checks sizes, depths and numbers in a file before its content is unpacked or memory is allocated for it.

A function that refuses a file raises ValueError with a clause as its text, such as 'it is not a regular file'. The
caller puts this clause into a sentence.
"""

import itertools
import json
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

MAX_SMALL_BYTES = 64 << 20  # the number of bytes to which every file may unpack, however small the file is
MAX_UNPACKING_RATIO = 200  # beyond MAX_SMALL_BYTES, a file may unpack to at most this multiple of its size
MAX_SETTINGS_BYTES = 16 << 20  # the maximum number of bytes in a file of settings
MAX_JSON_VALUES = 5_000_000  # the maximum number of values in one JSON document
MAX_DEPTH = 64  # the maximum number of levels in nested plain data
MAX_VALUES = 1 << 21  # the maximum number of values in plain data; a shared value counts each time
MAX_COLUMNS = 10_000  # the maximum number of columns of a log
MAX_CELLS = 1 << 27  # the maximum number of cells of a log
MAX_GROUP_DEPTH = 4  # the maximum number of levels of groups in a netCDF file
MAX_VARIABLES = 200_000  # the maximum number of groups and variables in a netCDF file
MAX_CHUNK_BYTES = 16 << 20  # the maximum number of bytes in a chunk of a netCDF file
MAX_TEXTS = 4096  # the maximum number of texts of variable length in one variable
MAX_OBSERVATION_SIZE = 1 << 24  # the maximum number of numbers in one observation


def get_file_size(path: str | os.PathLike) -> int:
    """Gets the size of a regular file in bytes; refuses devices and pipes."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    return status.st_size


def read_file(path: str | os.PathLike, max_bytes: int) -> bytes:
    """Reads a file that has at most `max_bytes` bytes."""
    if (size := get_file_size(path)) > max_bytes:
        raise ValueError(f"it has {size:,} bytes, but only files of at most {max_bytes:,} bytes are read")
    return Path(path).read_bytes()


def check_ratio(declared_bytes: int, stored_bytes: int) -> None:
    """Refuses content that would be much larger than its file.

    Args:
        declared_bytes: the size in bytes of the unpacked content, as the file declares it.
        stored_bytes: the size in bytes of the file.
    """
    if declared_bytes > MAX_SMALL_BYTES + MAX_UNPACKING_RATIO * stored_bytes:
        raise ValueError(f"it has {stored_bytes:,} bytes, but would unpack to {declared_bytes:,} bytes")


def parse_json(text: str | bytes) -> Any:
    """Parses a JSON document of limited size and depth."""
    marks: Any = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    if sum(text.count(mark) for mark in marks) > MAX_JSON_VALUES:
        raise ValueError(f"it contains more than {MAX_JSON_VALUES:,} values")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def check_nesting(value: Any, list_parts: Callable[[Any], list[Any]]) -> None:
    """Refuses data that is nested too deeply, expands to too many values, or contains itself.

    Args:
        value: the data to check.
        list_parts: a function that lists the values directly inside a value.
    """
    sizes_by_id: dict[int, tuple[int, int]] = {}
    open_items: set[int] = set()
    queue = [(value, False)]
    while queue:
        item, is_finished = queue.pop()
        if id(item) in sizes_by_id:
            continue
        parts = list_parts(item)
        if not is_finished:
            if id(item) in open_items:
                raise ValueError("it contains itself")
            open_items.add(id(item))
            queue.append((item, True))
            queue += [(x, False) for x in parts]
            continue
        open_items.discard(id(item))
        part_depths = [sizes_by_id[id(x)] for x in parts]
        nodes, depth = 1 + sum(n for n, _ in part_depths), 1 + max((d for _, d in part_depths), default=0)
        if nodes > MAX_VALUES or depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply, or expands to too many values")
        sizes_by_id[id(item)] = (nodes, depth)


def list_zip_members(archive: zipfile.ZipFile, stored_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Lists the members of a zip by name, and checks their names and sizes.

    Args:
        archive: the open zip.
        stored_bytes: the size in bytes of the zip's file.
    """
    members = archive.infolist()
    by_name = {x.filename: x for x in members}
    if len(by_name) < len(members):
        raise ValueError("two of its members have the same name")
    check_ratio(sum(x.file_size for x in members), stored_bytes)
    return by_name


def check_npz(path: str | os.PathLike) -> None:
    """Checks that no header in an .npz file declares more bytes than the file stores."""
    from numpy.lib import format as npy

    with zipfile.ZipFile(path) as archive:
        for name, member in list_zip_members(archive, get_file_size(path)).items():
            with archive.open(name) as file:
                version = npy.read_magic(file)
                reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, kind = reader(file)
                check_array(math.prod(shape) * kind.itemsize, member.file_size, name)


def check_array(declared_bytes: int, stored_bytes: int, name: str) -> None:
    """Refuses an array if a file declares more bytes for it than the file stores."""
    if declared_bytes > stored_bytes:
        raise ValueError(f"{name!r} declares {declared_bytes:,} bytes, but {stored_bytes:,} bytes are stored")


def check_netcdf(path: str | os.PathLike) -> None:
    """Refuses a netCDF 4 file whose groups are nested too deeply, or whose variables or attributes are too large."""
    import h5py

    stored_bytes, visited_addresses, objects, total = get_file_size(path), set(), 0, 0
    with h5py.File(path, "r") as file:
        queue: list[tuple[Any, int]] = [(file, 0)]
        while queue:
            group, depth = queue.pop()
            address = h5py.h5o.get_info(group.id).addr  # pyright: ignore[reportAttributeAccessIssue]
            if address in visited_addresses or depth > MAX_GROUP_DEPTH:
                raise ValueError("its groups are nested too deeply, or contain themselves")
            visited_addresses.add(address)
            objects += len(group)
            if objects > MAX_VARIABLES:
                raise ValueError(f"it contains more than {MAX_VARIABLES:,} variables")
            _check_attributes(group)
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name!r} is a link to another place or file")
                node = group[name]
                _check_attributes(node)
                if isinstance(node, h5py.Group):
                    queue.append((node, depth + 1))
                elif isinstance(node, h5py.Dataset):
                    total += _measure_variable_bytes(node)
                    check_ratio(total, stored_bytes)


def _check_attributes(node: Any) -> None:
    """Refuses attributes that declare too many values, or values that are too large."""
    import h5py

    for name in node.attrs:
        attribute = node.attrs.get_id(name)
        dtype = attribute.dtype
        largest = MAX_DEPTH if h5py.check_vlen_dtype(dtype) or _is_variable_text(dtype) else MAX_VALUES
        if math.prod(attribute.shape or ()) > largest or attribute.dtype.itemsize > MAX_SMALL_BYTES:
            raise ValueError(f"its attribute {name!r} is too large")


def _is_variable_text(dtype: Any) -> bool:
    """Checks whether a type in an HDF5 file is text of variable length."""
    import h5py

    text = h5py.check_string_dtype(dtype)
    return text is not None and text.length is None


def _measure_variable_bytes(variable: Any) -> int:
    """Computes the number of bytes that a variable needs in memory; refuses variables that mesascope does not read."""
    import h5py

    plan, count = variable.id.get_create_plist(), math.prod(variable.shape or ())
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    allowed = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
    if variable.is_virtual or variable.external or not allowed.issuperset(filters) or len(set(filters)) < len(filters):
        raise ValueError(f"{variable.name!r} is stored in another file, or compressed in a way that is not supported")
    if _is_variable_text(variable.dtype):
        if count > MAX_TEXTS:
            raise ValueError(f"{variable.name!r} contains {count:,} texts")
        return _measure_text_bytes(variable)
    if variable.dtype.kind not in "iufbcS" and not h5py.check_ref_dtype(variable.dtype):
        raise ValueError(f"{variable.name!r} contains {variable.dtype}")
    chunk = math.prod(variable.chunks or ()) * variable.dtype.itemsize
    if chunk > MAX_CHUNK_BYTES:
        raise ValueError(f"{variable.name!r} is read in chunks of {chunk:,} bytes")
    if h5py.h5z.FILTER_DEFLATE in filters:
        _check_chunks(variable, chunk)
    return max(count * variable.dtype.itemsize, chunk)


def _measure_text_bytes(variable: Any) -> int:
    """Computes the number of bytes of all texts of a variable."""
    total = 0
    for place in itertools.product(*map(range, variable.shape)):
        total += len(variable[place])
        if total > MAX_SMALL_BYTES:
            raise ValueError(f"the texts of {variable.name!r} are too long")
    return total


def _check_chunks(variable: Any, max_bytes: int) -> None:
    """Refuses chunks that unpack to more bytes than the variable declares."""
    offsets: list[Any] = []

    def collect_offset(info: Any) -> None:
        if info.size > 1 << 16:  # a smaller chunk cannot unpack to more than 64 MiB
            offsets.append(info.chunk_offset)

    variable.id.chunk_iter(collect_offset)
    for offset in offsets:
        _, chunk_bytes = variable.id.read_direct_chunk(offset)
        unzip = zlib.decompressobj()
        unzip.decompress(chunk_bytes, max_bytes)
        if unzip.decompress(unzip.unconsumed_tail, 1):
            raise ValueError(f"a chunk of {variable.name!r} unpacks to more than the declared {max_bytes:,} bytes")


# the number of bytes of one number, by GGUF's code for its type
GGUF_BYTES_PER_NUMBER = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
GGUF_TEXT, GGUF_ARRAY = 8, 9
PARQUET_TEXT = "BYTE_ARRAY"  # parquet's name for values without a fixed length


def check_gguf(path: str | os.PathLike) -> None:
    """Checks the numbers and sizes that the header of a GGUF file declares."""
    size = get_file_size(path)
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError("it does not begin with the four letters GGUF")
        _read_number(file, 4)
        tensors, keys = _read_number(file, 8), _read_number(file, 8)
        check_array(24 * tensors + 13 * keys, size, "its header")
        for _ in range(keys):
            _skip_bytes(file, _read_number(file, 8), size)
            kind, count = _read_number(file, 4), 1
            if kind == GGUF_ARRAY:
                kind, count = _read_number(file, 4), _read_number(file, 8)
            if kind == GGUF_TEXT:
                check_array(8 * count, size, "its header")
                for _ in range(count):
                    _skip_bytes(file, _read_number(file, 8), size)
            elif kind in GGUF_BYTES_PER_NUMBER:
                _skip_bytes(file, GGUF_BYTES_PER_NUMBER[kind] * count, size)
            else:
                raise ValueError("its header contains values of an unknown type")
        for _ in range(tensors):
            _skip_bytes(file, _read_number(file, 8), size)
            if (axes := _read_number(file, 4)) > 8:
                raise ValueError(f"one of its tensors has {axes:,} axes")
            count = math.prod(_read_number(file, 8) for _ in range(axes))
            _read_number(file, 4)
            check_array(max(count // 8, _read_number(file, 8)), size, "a tensor")


def _read_number(file: IO[bytes], length: int) -> int:
    if len(data := file.read(length)) < length:
        raise ValueError("it ends within its header")
    return int.from_bytes(data, "little")


def _skip_bytes(file: IO[bytes], length: int, size: int) -> None:
    check_array(length, size - file.tell(), "its header")
    file.seek(length, os.SEEK_CUR)


def read_parquet(path: str | os.PathLike) -> Any:
    """Reads a parquet file as an Arrow table; checks the size of dictionary-encoded texts before expanding them."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import compute as _compute

    pc: Any = _compute
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = [g.column(j) for g in groups for j in range(g.num_columns)]
    cells = max(metadata.num_rows * metadata.num_columns, sum(c.num_values for c in columns))
    if metadata.num_columns > MAX_COLUMNS or cells > MAX_CELLS:
        raise ValueError(f"it contains {metadata.num_rows:,} rows of {metadata.num_columns:,} columns")
    check_ratio(sum(c.total_uncompressed_size for c in columns), get_file_size(path))
    leaves = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    texts = [leaf for leaf in leaves if leaf.physical_type == PARQUET_TEXT]
    if lists := [leaf.path for leaf in texts if leaf.max_repetition_level]:
        raise ValueError(f"its column {lists[0]!r} contains lists of texts")
    names = [leaf.path for leaf in texts]
    table = pq.read_table(path, read_dictionary=names)
    for i, name in enumerate(table.column_names):
        column = table.column(i)
        if pa.types.is_dictionary(column.type) and name in names:
            lengths = (pc.take(pc.binary_length(c.dictionary), c.indices) for c in column.chunks)
            check_ratio(sum(pc.sum(column_lengths).as_py() or 0 for column_lengths in lengths), get_file_size(path))
            table = table.set_column(i, name, column.cast(column.type.value_type))
    return table
