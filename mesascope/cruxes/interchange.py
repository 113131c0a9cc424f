"""Reads and writes Bayesian networks in the text format BIF."""

import itertools
import re
from collections.abc import Iterator

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.credal import CredalNet
from mesascope.cruxes.networks import Net
from mesascope.errors import MesascopeError, require, require_known_name

_MAX_CHARACTERS = 20_000_000
_WORD_PATTERN = re.compile(r'"[^"\n]*"|[^\s"(){},;|]+')
# the text inside curly and inside round brackets
_IN_BRACES, _IN_PARENTHESES = (rf'(?:"[^"\n]*"|[^"{ends}])*+' for ends in ("{}", "()"))
_BLOCK_PATTERN = re.compile(
    rf"\s*(?:network\b{_IN_BRACES}\{{{_IN_BRACES}\}}"
    rf"|variable\s+(?P<name>{_WORD_PATTERN.pattern})\s*\{{\s*type\s+discrete\b{_IN_BRACES}\{{(?P<states>{_IN_BRACES})\}}\s*;?\s*\}}"
    rf"|probability\s*\((?P<of>{_IN_PARENTHESES})\)\s*\{{(?P<rows>{_IN_BRACES})\}})"
)
_ROW_PATTERN = re.compile(rf"\s*(?:(?P<kind>table|default)\b|\((?P<given>{_IN_PARENTHESES})\))(?P<numbers>[^;()]*);")


def write_net(net: Net, name: str = "net") -> str:
    """Writes a network as BIF 0.15; `read_bif` restores the same tables bit for bit.

    Args:
        net: the network, without a batch axis.
        name: the network's name in the text.
    """
    lines = [f"network {_clean_name(name)} {{\n}}"]
    for node in net.order:
        labels = ", ".join(net.states[node])
        lines.append(f"variable {node} {{\n  type discrete [ {len(net.states[node])} ] {{ {labels} }};\n}}")
    for node in net.order:
        parents, table = net.parents[node], net.tables[node]
        if not parents:
            lines.append(f"probability ( {node} ) {{\n  table {_format_row(table)};\n}}")
            continue
        rows = []
        for index in itertools.product(*(range(len(net.states[p])) for p in parents)):
            labels = ", ".join(net.states[p][i] for p, i in zip(parents, index, strict=True))
            rows.append(f"  ({labels}) {_format_row(table[index])};")
        lines.append(f"probability ( {node} | {', '.join(parents)} ) {{\n" + "\n".join(rows) + "\n}")
    return "\n".join(lines) + "\n"


def _format_row(values: np.ndarray) -> str:
    return ", ".join(repr(float(v)) for v in values)


def _clean_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name) or "net"


def write_bif(argument: Argument, person: str, point: str = "middle") -> str:
    """Writes a person's claims as a BIF network. An unstated entry is written as the middle (or an end) of [0, 1].

    Args:
        argument: the crux file, as `load_argument` returns it.
        person: the person whose claims are written; they must form a network.
        point: which point of each entry's interval to write: 'low', 'middle' or 'high'.

    Comments at the top name the modeller's bridges, the comparisons of two chances, which are left out, and every entry
    that the person did not state.
    """
    polytope = argument.build_polytope(person)
    try:
        network = CredalNet(polytope.constraints, polytope.rules)
    except MesascopeError as error:
        raise MesascopeError(error.problem, "Use --format squiggle or --format json, which need no network.") from None
    network.add_missing_nodes(frozenset())
    weights = {"low": 0.0, "middle": 0.5, "high": 1.0}
    spans, weight = network.list_intervals(), weights[require_known_name("point of an interval", point, weights)]
    theta = spans[:, 0] + weight * (spans[:, 1] - spans[:, 0])
    comments = [
        f"// claims of {person}, as the modeller reads them; independence as in a network is assumed",
        "// bridges that the modeller adds: " + (", ".join(rule.id for rule in polytope.rules) or "none"),
        *(f"// left out: {c.id} compares two chances, which BIF cannot state" for c in polytope.comparisons),
        *(f"// not stated, written at the {point} of [0, 1]: {e.id}" for e in network.entries if not e.is_stated),
    ]
    return "\n".join([*comments, write_net(network.build_net(theta), person)])


def read_bif(text: str) -> Net:
    """Reads the network in a BIF text.

    Args:
        text: BIF 0.15 with network, variable and probability blocks; comments and properties are skipped.

    Returns a `Net` in double precision; a row whose sum differs from 1 by up to 1e-4 is rescaled.
    """
    require(len(text) <= _MAX_CHARACTERS, "This BIF text is larger than 20 MB.", "Use a smaller network.")
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"\bproperty\b[^;]*;", " ", text)
    states: dict[str, list[str]] = {}
    parents: dict[str, list[str]] = {}
    tables: dict[str, np.ndarray] = {}
    for block in _match_blocks(_BLOCK_PATTERN, text):
        if block["name"]:
            name, labels = _split_words(block["name"])[0], _split_words(block["states"])
            if name in states or len(labels) < 2 or len(set(labels)) != len(labels):
                raise _make_error(f"variable {name[:60]!r} is repeated, or does not have two different states")
            states[name] = labels
        elif block["of"] is not None:
            node, *parent_names = _split_words(block["of"]) or [""]
            for name in (node, *parent_names):
                if name not in states:
                    raise _make_error(f"text has a probability for {name[:60]!r}, which is not a variable")
            if node in tables:
                raise _make_error(f"text has two probabilities for {node[:60]!r}")
            parents[node], tables[node] = parent_names, _read_table(block["rows"], node, [*parent_names, node], states)
    nodes_without = [name for name in states if name not in tables]
    if nodes_without or not states:
        raise _make_error(f"text has no probability for {', '.join(nodes_without) or 'any variable'}")
    return Net(states, parents, tables)


def _make_error(problem: str) -> MesascopeError:
    return MesascopeError(f"The BIF {problem}.", "Correct it, or export it again from its program.")


def _match_blocks(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yields consecutive matches of a pattern to the end of the text; text that does not match is an error."""
    position, end = 0, len(text.rstrip())
    while position < end:
        match = pattern.match(text, position)
        if not match:
            rest = " ".join(text[position : position + 60].split())
            raise _make_error(f"text has {rest[:40]!r}, which is not a complete block")
        yield match
        position = match.end()


def _split_words(text: str) -> list[str]:
    return [word.strip('"') for word in _WORD_PATTERN.findall(text)]


def _read_table(rows: str, node: str, names: list[str], states: dict[str, list[str]]) -> np.ndarray:
    """Reads P(node | parents) from the lines of a block; the last axis has the node's own states."""
    label, shape = f"table of {node[:60]!r}", [len(states[n]) for n in names]
    require(np.prod(shape, dtype=float) <= 2**22, f"The {label} is too large.", "Give it fewer parents.")
    table, n_numbers = np.full(shape, np.nan), int(np.prod(shape))
    for line in _match_blocks(_ROW_PATTERN, rows):
        try:
            numbers = np.array([float(w) for w in _split_words(line["numbers"])])
            pairs = zip(names[:-1], _split_words(line["given"] or ""), strict=line["given"] is not None)
            index = tuple(states[parent].index(state) for parent, state in pairs)
        except ValueError:
            raise _make_error(f"{label} lacks a number, or a parent's state, where one is needed") from None
        row_length = n_numbers if line["kind"] == "table" else shape[-1]
        if len(numbers) != row_length:
            raise _make_error(f"{label} has a row of {len(numbers)} numbers; {row_length} are needed")
        if line["kind"] == "table":  # the node's states vary slowest, the states of the last parent fastest
            table = np.moveaxis(numbers.reshape([shape[-1], *shape[:-1]]), 0, -1)
        elif line["kind"] == "default":
            table = np.where(np.isnan(table), numbers, table)
        else:
            table[index] = numbers
    total = table.sum(axis=-1, keepdims=True)
    if np.isnan(table).any() or table.min() < 0 or abs(total - 1).max() > 1e-4:
        raise _make_error(f"{label} has a missing row, or a row that does not sum to one")
    return np.where(abs(total - 1) < 1e-12, table, table / total)
