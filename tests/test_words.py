"""Names and sentences are the field's and plain: what is banned does not come back."""

import ast
import re
from pathlib import Path

import pytest

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
