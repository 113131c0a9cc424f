"""Where the entries of a TOML text stand, in every way that TOML lets one write them."""

from __future__ import annotations

import pytest

from mesascope import cruxes
from mesascope.cruxes.lines import LineIndex, format_entry_name

TEXT = '''format = "mesascope-crux/1"
title = """
[claims]
decoy = "in a text"
"""
[atoms] # a comment with [brackets] and "quotes
A = "a"
'B' = 'b # no comment'
[claims]
one = { by = "ann" }  # two = { }
two = { by = [
  "ann",
  ["three"],
] }
"four" = { text = "a \\" quote and a [" }
five.by = "ann"
[claims.six]
by = "ann"
[[refusals]]
of = ["one"]
[[ refusals ]]
of = ["two"]
'''


@pytest.mark.parametrize(
    ("path", "start"),
    [
        (("format",), '"mesascope'),
        (("atoms",), "[atoms]"),
        (("atoms", "B"), "'B'"),
        (("claims",), "[claims]\none"),
        (("claims", "one"), "one ="),
        (("claims", "two"), "two = { by"),
        (("claims", "four"), '"four"'),
        (("claims", "five"), "five.by"),
        (("claims", "six"), "[claims.six]"),
        (("claims", "six", "by"), 'by = "ann"\n[['),
        (("refusals", "0"), "[[refusals]]"),
        (("refusals", "1"), "[[ refusals ]]"),
        (("refusals", "1", "of"), 'of = ["two"]'),
        (("claims", "nowhere"), "[claims]\none"),
        (("nowhere",), "format"),
    ],
)
def test_an_entry_has_its_line(path, start):
    assert LineIndex(TEXT).find_start(*path) == TEXT[: TEXT.index(start)].count("\n") + 1


def test_a_line_has_its_entry():
    lines = LineIndex(TEXT)
    told = [lines.describe_line(n) for n in range(1, TEXT.count("\n") + 1)]
    assert told[:8] == ["format", "title", "title", "title", "title", "[atoms]", "[atoms] 'A'", "[atoms] 'B'"]
    assert told[8:16] == ["[claims]", "claim 'one'", *["claim 'two'"] * 4, "claim 'four'", "claim 'five'"]
    assert told[16:] == ["claim 'six'", "claim 'six'", *["refusal 1"] * 2, *["refusal 2"] * 2]


def test_every_line_of_the_thread():
    argument = cruxes.load_thread()
    text = argument.text.split("\n")
    for claim in argument.content.claims.values():
        assert text[claim.line - 1].startswith(f"{claim.id} = ")
    for bridge in argument.content.bridges:
        assert text[LineIndex(argument.text).find_start("bridges", bridge) - 1].startswith(f"{bridge} = ")
    for refusal in argument.content.refusals:
        assert text[refusal.line - 1] == "[[refusals]]"


def test_what_is_left_open_goes_wrong_where_it_opens():
    assert LineIndex("a = 1\nb = [1,\n2,\n\n").find_unfinished_line() == 2
    assert LineIndex('a = 1\nb = """x\ny\n').find_unfinished_line() == 2
    assert LineIndex("a = 1\nb\n\n").find_unfinished_line() == 2
    assert LineIndex("").find_unfinished_line() == 1


def test_names_of_entries_can_be_printed():
    assert format_entry_name() == "the file"
    assert format_entry_name("query", "given") == "query"
    for path in (("a\nb",), ("claims", "a\x1b[31m"), ("x" * 500, "y" * 500)):
        assert format_entry_name(*path).isprintable()
        assert len(format_entry_name(*path)) < 200
