"""Names and sentences are the field's and plain: what is banned does not come back."""

import ast
import copy
import functools
import re
import tomllib
from pathlib import Path

import pytest
import typer

import mesascope
from mesascope import catalogue, contracts
from mesascope.cli import main

ROOT = Path(__file__).parents[1]
NAMES = {  # they do not say what they hold
    *("told", "lived", "held", "made", "known", "put", "given", "amid", "bad", "bare", "but", "can", "due", "how"),
    *("giving", "taking", "spare", "stood", "tapped", "then", "those", "tilted", "touched", "twice", "unread"),
}
PHRASES = {
    r"(?<!there )\b(?:is|are) no (?!longer|more|less|other|worse|better|different|way)\w": "is not a, does not apply",
    r"\boftener\b|\boftenest\b": "more often, most often",
    r"\bhangs? (?:up)?on\b": "depends on",
    r"\bnames? no\b": "does not name",
    r"\bbeside that\b": "besides",
    r"\bone's own\b": "your own",
    r"\bwhereof|thereof|whereon|thereon\b": "of which, on it",
    r"\bmade anew|begun anew\b": "made again, started again",
    r"\bat hand\b": "available",
    r"\b(?:a|no) \w+ of it (?:is|has)\b": "one of its … is",
    r"\btrainings\b": "training runs",
    r"\bunrolls? to\b": "expands to",
    r"\b(?:gives?|gave) (?:none|it) back\b": "returns",
    r"\btold=|\bthe probe\b|\bprobes\b": "observes, metric",
    r"\b(?:this|that|each|every|one) ring\b|\brings\b": "split",
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
FILES = sorted((ROOT / "mesascope").rglob("*.py"))


FACTORIES = {"family", "subject", "condition", "metric", "recipe"}  # users type the names of their parameters


def bound(tree):
    """Every name that a file gives to a variable, parameter or function, with its line; fields are stored by name."""
    typed = {
        id(node)
        for outer in ast.walk(tree)
        for node in (
            [field.target for field in outer.body if isinstance(field, ast.AnnAssign)]
            if isinstance(outer, ast.ClassDef)
            else ast.walk(outer.args)
            if isinstance(outer, ast.FunctionDef) and outer.name in FACTORIES
            else []
        )
    }
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name.lstrip("_"), node.lineno


def sentences(tree):
    """Every docstring and message of a file, with its line: texts of several words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value, node.lineno


def banned(text):
    """What stands in a text and should not, with what to say instead."""
    text = " ".join(re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL).split())
    return [
        f"{found.group()!r}: say {instead}"
        for pattern, instead in PHRASES.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def test_no_name_hides_what_it_holds():
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in FILES
        for name, line in bound(ast.parse(path.read_text(encoding="utf-8")))
        if name in NAMES
    ]
    assert found == []


def test_docstrings_and_messages_use_plain_words():
    found = [
        f"{path.relative_to(ROOT)}:{line} {wrong}"
        for path in FILES
        for text, line in sentences(ast.parse(path.read_text(encoding="utf-8")))
        for wrong in banned(text)
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages_use_plain_words(page):
    assert banned(page.read_text(encoding="utf-8")) == []


def test_what_is_banned_is_found():
    assert banned("It is no subject, and it wins oftener.") == [
        "'is no s': say is not a, does not apply",
        "'oftener': say more often, most often",
    ]
    assert banned("There is no subject `that is no name`; it is no longer there.") == []
    assert [n for n, _ in bound(ast.parse("def _told(put): lived = 1")) if n in NAMES] == ["told", "put", "lived"]


def find_conflict_marks(text):
    return [line for line in text.splitlines() if line.startswith(("<" * 7 + " ", ">" * 7 + " "))]


def test_no_merge_was_left_half_done():
    assert find_conflict_marks("a\n" + "<" * 7 + " HEAD\nb") and not find_conflict_marks("=" * 7)
    files = [*ROOT.glob("*.md"), *ROOT.glob("*.toml")]
    for folder in ("docs", "mesascope", "tests", "benchmarks"):
        files += [p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".pyi", ".md", ".toml", ".html", ".css")]
    assert not [p for p in files if find_conflict_marks(p.read_text(encoding="utf-8"))]


EXTERNAL = {"importlib", "listening_address", "mesascope"}  # names of other packages
CLASSES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def strip_docstrings(tree):
    """A file's code without comments and docstrings."""
    tree = copy.deepcopy(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *CLASSES)) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return tree


PACKAGE = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
CODE = {path: set(re.findall(r"\w+", ast.unparse(strip_docstrings(tree)))) for path, tree in PACKAGE.items()}
BASES = {node.name: node for tree in PACKAGE.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def list_public_names():
    """What users type: plug-ins, studies, commands, extras, and the names of mesascope and mesascope.contracts."""
    plugins = {name for kind in catalogue.LISTED_KINDS for name in catalogue.list_names(kind)}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    commands = typer.main.get_command(main.app).commands  # type: ignore[attr-defined]
    return {*plugins, *extras, *commands, *dir(mesascope), *dir(contracts)}


def list_entries(node):
    """The parameters of a function, or a class's fields, methods and parameters, with those of its bases."""
    if not isinstance(node, ast.ClassDef):
        given = node.args
        return {a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if a}
    names = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    for inner in node.body:
        names |= {getattr(inner, "name", "")} | (list_entries(inner) if isinstance(inner, ast.FunctionDef) else set())
        targets = inner.targets if isinstance(inner, ast.Assign) else [getattr(inner, "target", None)]
        names |= {t.id for t in targets if isinstance(t, ast.Name)}
    bases = [BASES[b] for base in node.bases if (b := ast.unparse(base).rpartition(".")[2]) in BASES and b != node.name]
    return names.union(*map(list_entries, bases))


def list_words(tree):
    """The words of code without its comments and docstrings."""
    nodes = list(ast.walk(tree))
    docstrings = {id(n.body[0].value) for n in nodes if isinstance(n, CLASSES) and ast.get_docstring(n) is not None}
    values = [getattr(n, field, None) for n in nodes for field in ("id", "attr", "arg", "name")]
    values += [n.value for n in nodes if isinstance(n, ast.Constant) and id(n) not in docstrings]
    return {word for value in values if isinstance(value, str) for word in re.findall(r"\w+", value)}


def list_definitions(tree):
    """The names of a file's functions, classes, entries and variables, other than variables of functions."""
    names = set()
    for node in (n for n in ast.walk(tree) if isinstance(n, CLASSES)):
        names |= {getattr(node, "name", "")} | (list_entries(node) if isinstance(node, ast.ClassDef) else set())
    targets = [x for n in tree.body if isinstance(n, ast.Assign) for x in n.targets]
    return names.union(n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))


def find_strange_names(tree, defined, everywhere):
    """Finds names in docstrings that the code below does not contain, with the line.

    Entries must be parameters or fields. Other names must be among the words of the function or class, texts of the
    file, or defined.
    """
    code = strip_docstrings(tree)
    defined = defined | {n.value for n in ast.walk(code) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    defined |= {n.arg for n in ast.walk(code) if isinstance(n, ast.keyword) and n.arg}
    owners = {inner: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for inner in node.body}
    for node in ast.walk(tree):
        if not isinstance(node, CLASSES) or not (text := ast.get_docstring(node)):
            continue
        sections = "\n".join(re.findall(r"^(?:Args|Attributes):\n((?: {4}.*\n?|\n)*)", text, re.MULTILINE))
        entries = re.findall(r"^ {4}([*\w]+(?:, [*\w]+)*):", sections, re.MULTILINE)
        strange = {one.strip("*") for entry in entries for one in entry.split(", ")} - list_entries(node)
        if named := set(re.findall(r"(?<!`)`([A-Za-z]\w*)`(?!`)", text)) - defined:
            strange |= named - list_words(owners.get(node, node))
        dotted = re.findall(r"(?<!`)`([A-Za-z]\w*(?:\.\w+)+)(?:\([^`]*\))?`(?!`)", text)
        strange |= {name for name in dotted if not set(name.split(".")) <= everywhere}
        yield from ((node.lineno, name) for name in sorted(strange))


def test_docstrings_name_what_exists():
    public = list_public_names()
    everywhere = public.union(*CODE.values(), (part for path in FILES for part in path.with_suffix("").parts))
    defined = public.union(EXTERNAL, *map(list_definitions, PACKAGE.values()), (path.stem for path in FILES))
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path, tree in PACKAGE.items()
        for line, name in find_strange_names(tree, defined, everywhere)
    ]
    assert found == []
    planted = 'class A(Base):\n    """Not `b.gone`.\n\n    Attributes:\n        c, d: `e`.\n    """\n    c: int'
    planted += '\n\ndef f(x):\n    """Returns `x`, not `y`."""\n\ndef g(y):\n    return y\n'
    assert [n for _, n in find_strange_names(ast.parse(planted), {"A"}, {"b"})] == ["b.gone", "d", "e", "y"]


HEADS = {"family": "ConfiguredFamily", "context": "ConditionContext", "percept": "Percept"}  # variables in the pages


def list_defined_names(tree):
    """Names of functions, classes, parameters, fields, variables and settings, and texts."""
    for node in ast.walk(strip_docstrings(tree)):
        for key in ("name", "arg", "attr", "id", "value"):
            if isinstance(name := getattr(node, key, None), str):
                yield name


def find_undefined(text, defined):
    """Names in a page's prose with a dot, an underscore or (), that neither its code blocks nor `defined` contain."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    defined = defined | set(re.findall(r"\w+", " ".join(re.findall(r"```.*?```", text, re.DOTALL))))
    for span in dict.fromkeys(re.findall(r"`([^`]+)`", prose)):
        if "/" in span or span.startswith(("mesascope ", "--")):  # paths and commands have tests of their own
            continue
        for name in re.findall(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\(?", re.sub(r'"[^"]*"', "", span)):
            head, _, rest = name.rstrip("(").partition(".")
            parts = {part for part in (head, *rest.split(".")) if part} - {*HEADS, "mesascope"}
            owner, module = HEADS.get(head, head), ROOT / "mesascope" / f"{head}.py"
            allowed = defined
            if rest and owner in BASES:
                allowed, parts = list_entries(BASES[owner]), {rest.partition(".")[0]}
            elif rest and module in CODE:
                allowed, parts = CODE[module], {rest}
            if not {*"._("}.isdisjoint(name) and not (parts <= allowed or name in defined):
                yield name


@functools.cache
def list_all_names():
    """The names in the package, its tests and its files, and the variables that the page on trials lists."""
    paths = [p for folder in ("mesascope", "tests", "studies") for p in (ROOT / folder).rglob("*") if p.suffix]
    tests = [ast.parse(p.read_text(encoding="utf-8")) for p in (ROOT / "tests").rglob("*.py") if p != Path(__file__)]
    defined = {name for tree in (*PACKAGE.values(), *tests) for name in list_defined_names(tree)}
    defined |= {name for path in paths for name in (path.stem, path.name, path.parent.name)}
    return defined | set(re.findall(r"\w+", ast.get_docstring(PACKAGE[ROOT / "mesascope" / "trials.py"]) or ""))


@pytest.mark.parametrize("page", [pytest.param("adding.md", marks=pytest.mark.slow), "design.md"])  # ten seconds
def test_pages_name_what_exists(page):
    defined = list_all_names()
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert list(find_undefined(text, defined)) == []
    planted = "`Family.worth`, `family.shown == (0,)`, `context.past(i)`, `find_no_such()`, `catalogue.PLACES`, `none`"
    found = ["Family.worth", "family.shown", "context.past(", "find_no_such(", "catalogue.PLACES"]
    assert list(find_undefined(text + planted, defined)) == found
