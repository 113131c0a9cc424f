"""Crux files that are wrong, each with the place that its message has to name: line and entry."""

from __future__ import annotations

HEAD = """format = "mesascope-crux/1"
query = { target = "X", compare = ["ann", "bob"] }
[atoms]
A = "a"
B = "b"
X = "x"
[defs]
both = "A & B"
[people]
ann = { name = "Ann" }
bob = { name = "Bob" }
[claims]
a1 = { by = "ann", event = "A", value = "~30%" }
"""
LINE = HEAD.count("\n") + 1  # of the first line added
NOT = "!" * 50
OVER = '[hypotheses]\nh = { of = ["A", "B"] }\n[evidence]\ne = { over = "h", '
MEASURE = '[evidence]\ne = { about = "A" }\n[measures]\n'
MEASURE += 'm = { feeds = "e", placement = "acquiring", measured = "m", claimed = "c", '


def claim(body: str) -> str:
    return HEAD + f'bad = {{ by = "ann", {body} }}\n'


def many(line: str) -> str:
    """Four thousand lines (or groups of lines), numbered."""
    return "".join(line.format(i) + "\n" for i in range(4000))


def forty(rule: bool) -> str:
    """Forty atoms, each claimed given the one before."""
    names = [f"N{i}" for i in range(40)]
    text = 'format = "mesascope-crux/1"\nquery = { target = "N39", compare = ["ann"] }\n[atoms]\n'
    text += "".join(f'{n} = "{n}"\n' for n in names) + '[people]\nann = { name = "Ann" }\n[claims]\n'
    text += 'c0 = { by = "ann", event = "N0", value = "~80%" }\n'
    text += "".join(
        f'c{i} = {{ by = "ann", event = "N{i}", given = "N{i - 1}", value = "~90%" }}\n' for i in range(1, 40)
    )
    return text + (f'[bridges]\nb = {{ for = "ann", rule = "{" | ".join(names)}" }}\n' if rule else "")


CLAIMS = {
    "quote of a paragraph": 'event = "A", value = "50%", quote = "' + "word " * 60 + '"',
    "quote that is a list": 'event = "A", value = "50%", quote = ["a"]',
    "place that is a number": 'event = "A", value = "50%", at = 3',
    "endorsed in words": 'event = "A", value = "50%", endorsed = "yes"',
    "comparison without an event": 'kind = "comparison", than = "B"',
    "comparison with an unknown atom": 'kind = "comparison", event = "A", than = "Q"',
    "comparison under an impossible condition": 'kind = "comparison", event = "A", than = "B", than_given = "X & !X"',
    "than of a probability": 'kind = "trend", than = "B"',
    "condition of a remark": 'kind = "remark", given = "A"',
    "posterior without a value": 'kind = "posterior", event = "A"',
    "posterior over 1": 'kind = "posterior", event = "A", value = "3/2"',
    "reading of a number": 'event = "A", value = "50%", reading = 4',
    "percent of a fraction": 'event = "A", value = "1 in 4%"',
    "two fractions": 'event = "A", value = "1 in 4 in 5"',
    "negative exponent without digits": 'event = "A", value = "1e-"',
    "comma in a number": 'event = "A", value = "0,5"',
    "fraction of zero": 'event = "A", value = "3/0"',
    "huge fraction": 'event = "A", value = "1 in ' + "9" * 70 + '9999999999"',
    "ratio as a value": 'event = "A", value = "3:1"',
    "at least as a number over 1": 'event = "A", value = ">=1.2"',
    "negative zero point": 'event = "A", value = -1e-9',
    "very large number": 'event = "A", value = 1e13',
    "over 100 percent": 'event = "A", value = "120%"',
    "over 1": 'event = "A", value = "1.2"',
    "negative": 'event = "A", value = "-5%"',
    "reversed range": 'event = "A", value = "80-20%"',
    "range and bound": 'event = "A", value = "<10-20%"',
    "range over 100": 'event = "A", value = "50-150%"',
    "number over 1 without quotes": 'event = "A", value = 85',
    "number below 0 without quotes": 'event = "A", value = -0.1',
    "not a number without quotes": 'event = "A", value = nan',
    "infinite without quotes": 'event = "A", value = inf',
    "1 in 0": 'event = "A", value = "1 in 0"',
    "fraction over 1": 'event = "A", value = "3/2"',
    "half a fraction": 'event = "A", value = "1 in"',
    "exponent without digits": 'event = "A", value = "1e"',
    "exponent too large": 'event = "A", value = "1e400"',
    "boolean value": 'event = "A", value = true',
    "list value": 'event = "A", value = ["50%"]',
    "date value": 'event = "A", value = 2020-08-18',
    "infinite": 'event = "A", value = "inf"',
    "not a number": 'event = "A", value = "nan%"',
    "unknown word": 'event = "A", value = "plausible"',
    "empty value": 'event = "A", value = ""',
    "huge digits": 'event = "A", value = "' + "9" * 900 + '%"',
    "no value": 'event = "A"',
    "no event": 'value = "50%"',
    "unknown atom": 'event = "Q", value = "50%"',
    "unknown atom in condition": 'event = "A", given = "Q & B", value = "50%"',
    "impossible condition": 'event = "A", given = "B & !B", value = "50%"',
    "impossible by definition": 'event = "A", given = "both & !A", value = "50%"',
    "dangling operator": 'event = "A &", value = "50%"',
    "unclosed bracket": 'event = "(A | B", value = "50%"',
    "two atoms in a row": 'event = "A B", value = "50%"',
    "empty event": 'event = "", value = "50%"',
    "a call": 'event = "__import__(\'os\')", value = "50%"',
    "a script": 'event = "<script>alert(1)</script>", value = "50%"',
    "event is a number": 'event = 3, value = "50%"',
    "deep brackets": 'event = "' + "(" * 900 + "A" + ")" * 900 + '", value = "50%"',
    "many negations": 'event = "' + "!" * 1500 + 'A", value = "50%"',
    "long event": 'event = "' + " & ".join(["A"] * 5000) + '", value = "50%"',
    "unknown field": 'event = "A", value = "50%", colour = "red"',
    "unknown kind": 'kind = "guess", event = "A", value = "50%"',
    "fraction of nobody": 'kind = "fraction", value = "50%"',
    "value where none belongs": 'kind = "trend", value = "50%"',
    "ambiguity of one": 'kind = "ambiguity", phrase = "p", events = ["A"]',
    "escape in the text": 'event = "A", value = "50%", text = "a\\u001b[31m"',
    "mass of two": 'event = "A", value = "~1-20%", mass = 2.0',
    "odd within": 'event = "A", value = "<10%", within = "normal"',
    "about nothing": 'event = "A", value = "50%", about = ["zz"]',
    "interpretation of unknown atom": 'event = "A", value = "50%", readings = { other = { event = "Q" } }',
    "interpretation that is text": 'event = "A", value = "50%", readings = "other"',
}
FILES = {
    "retraction of another's claim": (
        "line 14: retraction 1",
        HEAD + '[[retractions]]\nby = "bob"\nof = ["a1"]\n',
    ),
    "retraction of nothing": ("line 14: retraction 1", HEAD + '[[retractions]]\nby = "ann"\n'),
    "retraction of an unknown claim": ("line 14: retraction 1", HEAD + '[[retractions]]\nby = "ann"\nof = ["zz"]\n'),
    "retraction by a stranger": ("line 14: retraction 1", HEAD + '[[retractions]]\nby = "eve"\nof = ["a1"]\n'),
    "retractions as a table": ("line 14: [retractions]", HEAD + '[retractions]\nby = "ann"\n'),
    "agreement with nothing": ("line 14: agreement 1", HEAD + '[[agreements]]\nby = "bob"\n'),
    "agreement by nobody": ("line 14: agreement 1", HEAD + '[[agreements]]\nof = ["a1"]\n'),
    "agreement with a field too many": (
        "line 14: agreement 1",
        HEAD + '[[agreements]]\nby = "bob"\nof = ["a1"]\nvalue = "5%"\n',
    ),
    "bridge with a text of a list": (
        "line 15: bridge 'b'",
        HEAD + '[bridges]\nb = { for = "ann", rule = "X -> A", text = [1] }\n',
    ),
    "bridge that is optional in words": (
        "line 15: bridge 'b'",
        HEAD + '[bridges]\nb = { for = "ann", rule = "X -> A", optional = "yes" }\n',
    ),
    "one hypothesis in a set": ("line 15: hypotheses 'h'", HEAD + '[hypotheses]\nh = { of = ["A"] }\n'),
    "hypotheses of nothing": ("line 15: hypotheses 'h'", HEAD + "[hypotheses]\nh = { }\n"),
    "hypotheses that are unknown": ("line 15: hypotheses 'h'", HEAD + '[hypotheses]\nh = { of = ["A", "Q"] }\n'),
    "nine hypotheses": (
        "line 15: hypotheses 'h'",
        HEAD + "[hypotheses]\nh = { of = [" + '"A", ' * 8 + '"B"] }\n',
    ),
    "evidence over no set": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { over = "zz" }\n'),
    "likelihood of a stranger": (
        "line 17: evidence 'e'",
        HEAD + OVER + 'likelihoods = { eve = { A = "5%", B = "6%" } } }\n',
    ),
    "likelihood missing": ("line 17: evidence 'e'", HEAD + OVER + 'likelihoods = { ann = { A = "5%" } } }\n'),
    "likelihood over 1": (
        "line 17: evidence 'e'",
        HEAD + OVER + 'likelihoods = { ann = { A = "5%", B = "600%" } } }\n',
    ),
    "likelihood of three numbers": (
        "line 17: evidence 'e'",
        HEAD + OVER + 'likelihoods = { ann = { A = "5%", B = [1, 2, 3] } } }\n',
    ),
    "likelihood of an unknown hypothesis": (
        "line 17: evidence 'e'",
        HEAD + OVER + 'likelihoods = { ann = { A = "5%", B = "5%", X = "5%" } } }\n',
    ),
    "likelihood that is text": ("line 17: evidence 'e'", HEAD + OVER + 'likelihoods = "high" }\n'),
    "count of one number": ("line 17: evidence 'e'", HEAD + OVER + "observed = [3] }\n"),
    "count that is impossible": ("line 17: evidence 'e'", HEAD + OVER + "observed = [4, 3] }\n"),
    "count of halves": ("line 17: evidence 'e'", HEAD + OVER + "observed = [1.5, 3] }\n"),
    "transfer over 1": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { about = "A", transfer = { ann = 2 } }\n'),
    "transfer of a stranger": (
        "line 15: evidence 'e'",
        HEAD + '[evidence]\ne = { about = "A", transfer = { eve = 0.5 } }\n',
    ),
    "ratio of both signs": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { about = "A", lr = { ann = ">2-3" } }\n'),
    "ratio over nothing": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { about = "A", lr = { ann = "3:0" } }\n'),
    "ratio above nothing": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { about = "A", lr = { ann = "<0" } }\n'),
    "independence of nothing": ("line 15: independence 'i'", HEAD + "[independence]\ni = { discount = 1 }\n"),
    "independence of unknown items": (
        "line 15: independence 'i'",
        HEAD + '[independence]\ni = { items = ["zz"], discount = 1 }\n',
    ),
    "independence without a discount": (
        "line 17: independence 'i'",
        HEAD + '[evidence]\ne = { about = "A" }\n[independence]\ni = { items = ["e"] }\n',
    ),
    "discount over 1": (
        "line 17: independence 'i'",
        HEAD + '[evidence]\ne = { about = "A" }\n[independence]\ni = { items = ["e"], discount = 1.5 }\n',
    ),
    "measure of an unknown kind": ("line 17: measure 'm'", HEAD + MEASURE + 'kinds = ["robots"] }\n'),
    "measure with a filter that is a list": ("line 17: measure 'm'", HEAD + MEASURE + 'family = ["a"] }\n'),
    "measure of unknown units": ("line 17: measure 'm'", HEAD + MEASURE + 'counts = "lifetime" }\n'),
    "quantity of nobody": ("line 15: quantity 'q'", HEAD + '[quantities]\nq = { low = "1", high = "2" }\n'),
    "decision of nobody": ("line 15: decision 'd'", HEAD + "[decisions]\nd = { actions = { } }\n"),
    "nobody's claim": ("line 14: claim 'bad'", HEAD + 'bad = { event = "A", value = "50%" }\n'),
    "a stranger's claim": ("line 14: claim 'bad'", HEAD + 'bad = { by = "eve", event = "A", value = "50%" }\n'),
    "claim is text": ("line 14: claim 'bad'", HEAD + 'bad = "A is 50%"\n'),
    "claim name with spaces": ("line 14: claim 'a b'", HEAD + '"a b" = { by = "ann", event = "A", value = "50%" }\n'),
    "claim twice": ("line 14: claim 'a1'", HEAD + 'a1 = { by = "ann", event = "B", value = "50%" }\n'),
    "person twice": ("line 12: person 'ann'", HEAD.replace("[claims]", 'ann = { name = "Other" }\n[claims]')),
    "two people of one name": ("line 11: person 'bob'", HEAD.replace('"Bob"', '"Ann"')),
    "person without a name": ("line 11: person 'bob'", HEAD.replace('{ name = "Bob" }', "{ }")),
    "odd attribution": (
        "line 11: person 'bob'",
        HEAD.replace('{ name = "Bob" }', '{ name = "Bob", attribution = "sworn" }'),
    ),
    "no people": ("line 1: [people]", 'format = "mesascope-crux/1"\n[atoms]\nA = "a"\n'),
    "no atoms": ("line 1: [atoms]", 'format = "mesascope-crux/1"\n[people]\nann = { name = "Ann" }\n'),
    "no format": ("line 1: format", HEAD.replace('format = "mesascope-crux/1"\n', "")),
    "other format": ("line 1: format", HEAD.replace("crux/1", "crux/9")),
    "unknown table": ("line 14: [opinions]", HEAD + '[opinions]\nx = "y"\n'),
    "broken TOML": ("line 14: [claims]", HEAD + "[claims\n"),
    "unclosed text": ("line 14: claim 'bad'", HEAD + 'bad = { by = "ann\n'),
    "control characters": ("line 14: claim 'bad'", HEAD + "bad = \x00\x01\n"),
    "control character in a name": ("line 14: claim 'bad'", HEAD + 'bad = { by = "a\x07nn" }\n'),
    "empty file": ("line 1: format", ""),
    "deep TOML": ("line 1: [a]", "a = " + "[" * 5000 + "]" * 5000),
    "long integer": ("line 1: format", "format = " + "9" * 20000),
    "atoms are a list": (
        "line 4: [other]",
        HEAD.replace('[atoms]\nA = "a"\nB = "b"\nX = "x"', 'atoms = ["A"]\n[other]'),
    ),
    "atom is a number": ("line 4: [atoms] 'A'", HEAD.replace('A = "a"', "A = 1")),
    "definition hides an atom": ("line 8: definition 'A'", HEAD.replace("both =", "A =")),
    "definitions in a circle": (
        "line 8: definition 'p'",
        HEAD.replace('both = "A & B"', 'p = "q | A"\nq = "r"\nr = "p & B"'),
    ),
    "definition of itself": ("line 8: definition 'both'", HEAD.replace('both = "A & B"', 'both = "both & B"')),
    "definitions that explode": (
        "line 19: definition 'd11'",
        HEAD.replace(
            'both = "A & B"', 'd0 = "A & B"\n' + "\n".join(f'd{i} = "d{i - 1} & d{i - 1}"' for i in range(1, 30))
        ),
    ),
    "target unknown": ("line 2: query", HEAD.replace('target = "X"', 'target = "Y"')),
    "comparing a stranger": ("line 2: query", HEAD.replace('"ann", "bob"', '"ann", "eve"')),
    "impossible question": ("line 2: query", HEAD.replace('"bob"] }', '"bob"], given = { ann = "A & !A" } }')),
    "bridge for nobody": ("line 15: bridge 'b'", HEAD + '[bridges]\nb = { rule = "X <-> A" }\n'),
    "bridge is a claim": ("line 15: bridge 'a1'", HEAD + '[bridges]\na1 = { for = "ann", rule = "X <-> A" }\n'),
    "bridge without a rule": ("line 15: bridge 'b'", HEAD + '[bridges]\nb = { for = "ann" }\n'),
    "refusal of nothing": ("line 14: refusal 1", HEAD + '[[refusals]]\nby = "bob"\nreason = "no"\n'),
    "refusal of an unknown claim": (
        "line 14: refusal 1",
        HEAD + '[[refusals]]\nby = "bob"\nof = ["zz"]\nreason = "no"\n',
    ),
    "refusal without a reason": ("line 14: refusal 1", HEAD + '[[refusals]]\nby = "bob"\nof = ["a1"]\n'),
    "another's replacement": (
        "line 14: refusal 1",
        HEAD + '[[refusals]]\nby = "bob"\nof = ["a1"]\nreason = "no"\ninstead = "a1"\n',
    ),
    "refusals as a table": ("line 14: [refusals]", HEAD + '[refusals]\nby = "bob"\n'),
    "question without an id": (
        "line 14: question 1",
        HEAD + '[[questions]]\nby = "ann"\nto = "bob"\nabout = "A"\nvia = "B"\n',
    ),
    "evidence of a stranger": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { about = "A", lr = { eve = "3" } }\n'),
    "evidence about nothing": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { lr = { ann = "3" } }\n'),
    "ratio of zero": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { about = "A", lr = { ann = "0" } }\n'),
    "ratio reversed": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { about = "A", lr = { ann = "5-2" } }\n'),
    "ratio in odd words": (
        "line 15: evidence 'e'",
        HEAD + '[evidence]\ne = { about = "A", lr = { ann = "quite some" } }\n',
    ),
    "one hypothesis": (
        "line 15: evidence 'e'",
        HEAD + '[evidence]\ne = { about = "A", hypotheses = { ann = { if_true = [8, 2] } } }\n',
    ),
    "negative Beta": (
        "line 15: evidence 'e'",
        HEAD + '[evidence]\ne = { about = "A", hypotheses = { ann = { if_true = [-1, 2], if_false = [2, 2] } } }\n',
    ),
    "measure of nothing": (
        "line 15: measure 'm'",
        HEAD + '[measures]\nm = { feeds = "zz", placement = "acquiring", measured = "m", claimed = "c" }\n',
    ),
    "measure by no rung": (
        "line 17: measure 'm'",
        HEAD
        + '[evidence]\ne = { about = "A" }\n[measures]\n'
        + 'm = { feeds = "e", placement = "smart", measured = "m", claimed = "c" }\n',
    ),
    "measure without its gap": (
        "line 17: measure 'm'",
        HEAD + '[evidence]\ne = { about = "A" }\n[measures]\nm = { feeds = "e", placement = "acquiring" }\n',
    ),
    "cut without parts": ("line 15: cut 's'", HEAD + '[cuts]\ns = { target = "X" }\n'),
    "cut with two rests": (
        "line 15: cut 's'",
        HEAD
        + '[cuts]\ns = { target = "X", parts = { a = "A", b = "B" }, '
        + 'assume = { ann = { a = "rest", b = "rest" } } }\n',
    ),
    "cut that assumes a set": (
        "line 15: cut 's'",
        HEAD + '[cuts]\ns = { target = "X", parts = { a = "A" }, assume = { ann = { a = "<10%" } } }\n',
    ),
    "filing under no cut": ("line 15: filing 'f'", HEAD + '[filings]\nf = { cut = "zz", options = { } }\n'),
    "bottom of a stranger": ("line 15: bottom 'eve'", HEAD + '[bottom]\neve = { at = "low" }\n'),
    "bottom at the top": ("line 15: bottom 'ann'", HEAD + '[bottom]\nann = { at = "top" }\n'),
    "a table broken off": ("line 16: claim 'bad'", HEAD + '[claims.bad]\nby = "ann"\nevent = \n'),
    "a claim over two lines": ("line 14: claim 'bad'", HEAD + 'bad = { by = "ann",\n event = "A" }\n'),
    "a list left open": ("line 17: claim 'bad'", HEAD + 'bad = { by = [\n"ann",\n\n[evidence]\ne = { }\n'),
    "text left open to the end": ("line 14: claim 'bad'", HEAD + "bad = '''\nx = 1\n"),
    "no equals sign": ("line 14: claim 'bad'", HEAD + 'bad { by = "ann" }\n'),
    "stops in a name": ("line 14: claim 'bad'", HEAD + "bad"),
    "unquoted words": ("line 14: claim 'bad'", HEAD + "bad = { by = ann }\n"),
    "comma at the end": ("line 14: claim 'bad'", HEAD + 'bad = { by = "ann", }\n'),
    "half a character": ("line 14: claim 'bad'", HEAD + 'bad = { by = "ann", event = "A", value = "\\uD800" }\n'),
    "control character in a claim's name": ("line 14: claim 'b\\x07d'", HEAD + '"b\\u0007d" = { by = "ann" }\n'),
    "turned writing": ("line 14: claim 'b\\u202ed'", HEAD + '"b\u202ed" = { by = "ann" }\n'),
    "separators that are no lines": (
        "line 15: claim 'bad'",
        HEAD + "# \u2028\u2028\x85\u2028\n" + 'bad = { by = "ann", event = "Q", value = "50%" }\n',
    ),
    "Windows lines": (
        "line 14: claim 'bad'",
        HEAD.replace("\n", "\r\n") + 'bad = { by = "ann", event = "Q", value = "50%" }\r\n',
    ),
    "old Apple lines": ("line 1: format", HEAD.replace("\n", "\r")),
    "a name of many parts": ("line 14: claim 'bad'", HEAD + "bad." + "a." * 30000 + "b = 1\n"),
    "a table of many parts": ("line 14: [a] 'a'", HEAD + "[" + "a." * 30000 + "b]\n"),
    "a title of many parts": ("line 1: title", "title." + "a." * 2000 + "b = 1\n" + HEAD),
    "deep claim": ("line 14: claim 'bad'", HEAD + "bad = " + "{a=" * 3000 + "\n"),
    "long integer in a claim": (
        "line 14: claim 'bad'",
        HEAD + 'bad = { by = "ann", event = "A", value = "5%", mass = ' + "9" * 20000 + " }\n",
    ),
    "long hexadecimal": (
        "line 14: claim 'bad'",
        HEAD + 'bad = { by = "ann", event = "A", value = 0x' + "F" * 300000 + " }\n",
    ),
    "long hexadecimal title": ("line 1: title", "title = 0x" + "F" * 300000 + "\n" + HEAD),
    "long hexadecimal ratio": (
        "line 15: evidence 'e'",
        HEAD + '[evidence]\ne = { about = "A", lr = { ann = 0x' + "F" * 1000 + " } }\n",
    ),
    "ratio below zero": ("line 15: evidence 'e'", HEAD + '[evidence]\ne = { about = "A", lr = { ann = -3 } }\n'),
    "too many atoms": ("line 3: [atoms]", HEAD.replace("[atoms]", "[atoms]\n" + many("a{} = 'x'"))),
    "too many definitions": ("line 7: [defs]", HEAD.replace("[defs]", "[defs]\n" + many("d{} = 'A'"))),
    "too many people": (
        "line 9: [people]",
        HEAD.replace("[people]", "[people]\n" + many("p{0} = {{ name = 'p{0}' }}")),
    ),
    "too many claims": ("line 12: [claims]", HEAD + many("c{} = {{ by = 'ann', event = 'A', value = '30%' }}")),
    "too many refusals": ("line 14: [refusals]", HEAD + many("[[refusals]]\nby = 'bob'\nof = ['a1']\nreason = 'n{}'")),
    "compared with everybody": ("line 2: query", HEAD.replace('"ann", "bob"', '"ann", ' * 500 + '"bob"')),
    "a long chain": (
        "line 14: claim 'bad'",
        HEAD + 'bad = { by = "ann", event = "A' + "&A" * 900 + '", value = "50%" }\n',
    ),
    "a long chain as a condition": (
        "line 14: claim 'bad'",
        HEAD + 'bad = { by = "ann", event = "A", given = "A' + "|A" * 900 + '", value = "50%" }\n',
    ),
    "a long chain as a rule": (
        "line 15: bridge 'b'",
        HEAD + '[bridges]\nb = { for = "ann", rule = "A' + "&A" * 900 + '" }\n',
    ),
    "definitions inside each other": (
        "line 11: definition 'd3'",
        HEAD.replace('both = "A & B"', 'd0 = "A"\n' + "\n".join(f'd{i} = "{NOT}d{i - 1}"' for i in range(1, 40))),
    ),
    "a value of spaces": (
        "line 14: claim 'bad'",
        HEAD + 'bad = { by = "ann", event = "A", value = "1' + " " * 300000 + 'x" }\n',
    ),
    "groups in groups": (
        "line 15: cut 's'",
        HEAD + '[cuts]\ns = { target = "X", parts = { a = "A" }, groups = [[["a"]]] }\n',
    ),
    "a page of HTML": ("line 1: the file", "<!doctype html><script>alert(1)</script>\n"),
    "YAML": ("line 1: format", "format: mesascope-crux/1\natoms:\n  A: a\n"),
    "JSON": ("line 1: the file", '{"format": "mesascope-crux/1"}'),
    "only a comment": ("line 1: format", "# hello\n"),
    "nothing but zeros": ("line 1: the file", "\0" * 5000),
}
TABLE = {**{k: (f"line {LINE}: claim 'bad'", claim(v)) for k, v in CLAIMS.items()}, **FILES}
BYTES = {
    "UTF-16": (1, 'format = "mesascope-crux/1"\n'.encode("utf-16")),
    "Latin-1": (3, 'format = "mesascope-crux/1"\n# a\ntitle = "caf\xe9"\n'.encode("latin-1")),
    "half a character": (2, b"# a\n# \xe2\x82"),
    "nothing but continuations": (1, b"\x80" * 50),
}
