"""Whatever is wrong: exit code 2, one message with cause and remedy, nothing on standard output."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mesascope.cli.main import run_command

HERE = Path(__file__).parent
FAMILY = "bernoulli_bandit:arms=3,trials=12"


def examine(*subjects, family=FAMILY, **options):
    """A tiny examination; all cases share one folder, so controls are lived once if ever."""
    given = {"splits": "fresh", "metrics": "benefit", "lifetimes": "64", "out": "{here}/out", **options}
    flags = [part for k, v in given.items() for part in (f"--{k.replace('_', '-')}", str(v))]
    return ["examine", *subjects, *(["--family", family] if family else []), *flags]


def agent(name, **options):
    return examine(f"agents_under_test:{name}", **options)


def log(name, *more):
    return ["measure", "{here}/" + name, "--out", "{here}/measured", *more]


def report(name):
    return ["report", "{here}/runs/" + name]


CASES = {
    # files
    "nc missing": (log("missing.nc"), "no file", "Name a .nc file"),
    "csv missing": (log("missing.csv"), "missing.csv", "a log that exists"),
    "nc empty": (log("empty.nc"), "is not a netCDF file", "Name a .nc file"),
    "csv empty": (log("empty.csv"), "empty", "line of column names"),
    "csv a folder": (log("folder.csv"), "folder", "file"),
    "nc a folder": (log("folder.nc"), "no file", "Name a .nc file"),
    "nc cut short": (log("cut.nc"), "not a netCDF file of trials", "Name a .nc file"),
    "nc of noise": (log("noise.nc"), "not a netCDF file of trials", "Name a .nc file"),
    "csv of noise": (log("noise.csv"), "noise.csv", "Logs are .csv"),
    "nc not ours": (log("foreign.nc"), "contains no splits", "Name a .nc file"),
    "nc of another format": (log("other.nc"), "not a mesascope-trials/2", "read_log"),
    "log of unknown kind": (log("log.xyz"), "log.xyz", ".csv"),
    "network missing": (examine("nowhere/net.safetensors"), "There is no file", "Name a file"),
    "network of noise": (examine("{here}/noise.safetensors"), "no adapter opens it", "Name the adapter"),
    "network empty": (examine("{here}/empty.safetensors"), "no adapter opens it", "Name the adapter"),
    "network's own family": (examine("{here}/noise.safetensors", family=""), "no adapter opens it", "adapter"),
    "network's choices": (examine("recurrent:path=unlimited"), "5 actions", "with 5 actions"),
    "network unknown": (examine("recurrent:path=unlimted"), "no file 'unlimted'", "unlimited"),
    "network unnamed": (examine("recurrent"), "No network is named", "a shipped network: "),
    "validate on two": (["validate", "--quick", "--lifetimes", "2"], "lifetimes=2", "at least 3"),
    "validate from nowhere": (["validate", "--quick", "--first", "9" * 20], "less than or equal to", "--help"),
    "out is a file": (examine("uniform", out="{here}/log.csv"), "log.csv' cannot be", "--out"),
    "out in a file": (examine("uniform", out="/dev/null/run"), "Not a directory", "--out"),
    "out of a log is a file": (["measure", "{here}/log.csv", "--out", "{here}/log.csv"], "cannot be", "--out"),
    "train into a file": (
        ["train", "ppo_recurrent", "--family", FAMILY, "--out", "{here}/log.csv"],
        "is a file",
        "--out",
    ),
    # columns
    "column unknown": (log("log.csv", "--columns", "action=chioce"), "chioce", "choice"),
    "column twice": (log("log.csv", "--columns", "action=choice,action=key"), "'action' is given twice", "once"),
    "column for two roles": (log("log.csv", "--columns", "action=choice,feedback=choice"), "choice", "column"),
    "column without =": (log("log.csv", "--columns", "choice"), "'choice' in --columns", "action=NAME"),
    "column's role unknown": (log("log.csv", "--columns", "akshun=choice"), "akshun", "action"),
    "choices out of range": (log("log.csv", "--choices", "1"), "choices is", "from 2"),
    # values
    "arms not a number": (examine("uniform", family="bernoulli_bandit:arms=nan"), "not a whole number", "arms=5"),
    "one arm": (examine("uniform", family="bernoulli_bandit:arms=1"), "arms=1 is out of range", "from 2 to 26"),
    "arms 1e9": (examine("uniform", family="bernoulli_bandit:arms=1e9"), "not a whole number", "arms=5"),
    "a billion arms": (examine("uniform", family="bernoulli_bandit:arms=1000000000"), "out of range", "to 26"),
    "no trials": (examine("uniform", family="bernoulli_bandit:trials=0"), "trials=0", "from 2"),
    "bank too large": (examine("uniform", family="bernoulli_bandit:bank=1000001"), "bank=1000001", "1000000"),
    "bank impossible": (
        examine("uniform", family="bernoulli_bandit:arms=2,prior=beta:900/1+1/900,bank=2"),
        "there was no bank of 2",
        "another prior",
    ),
    "prior unknown": (examine("uniform", family="bernoulli_bandit:prior=independnt"), "independnt", "'independent'"),
    "prior of two arms": (examine("uniform", family=f"{FAMILY},prior=beta:1/1+2/2"), "has 2 arms", "one a/b per arm"),
    "prior negative": (examine("uniform", family=f"{FAMILY},prior=beta:1/1+2/-2+1/1"), "not positive", "positive"),
    "prior of NaN": (examine("uniform", family=f"{FAMILY},prior=beta:1/1+nan/2+1/1"), "not positive", "positive"),
    "prior no list": (examine("uniform", family=f"{FAMILY},prior=beta:one"), "not a list of shapes", "beta:3/1+1/1"),
    "no lifetimes": (examine("uniform", lifetimes="0"), "--lifetimes", "examine --help"),
    "lifetimes in words": (examine("uniform", lifetimes="many"), "integer", "examine --help"),
    "seed negative": (examine("uniform", seed="-1"), "--seed", "examine --help"),
    "seed too large": (examine("uniform", seed=str(2**40)), "--seed", "examine --help"),
    "no seeds": (
        ["train", "ppo_recurrent", "--family", FAMILY, "--out", "{here}/n", "--seeds", "0"],
        "--seeds",
        "--help",
    ),
    "discount of NaN": (examine("thompson:discount=nan"), "not finite", "discount=1.0"),
    "discount above 1": (examine("thompson:discount=1.5"), "discount=1.5", "at most 1"),
    "minimise maybe": (examine("thompson:should_minimise=maybe"), "neither true nor false", "should_minimise=false"),
    "width of a recipe": (
        ["train", "ppo_recurrent:width=0", "--family", FAMILY, "--out", "{here}/n"],
        "width=0",
        "from 1",
    ),
    "bank of nothing": (examine("uniform", trained_on="bank:0@1"), "does not name a bank", "bank:M@seed"),
    "trained on nonsense": (examine("uniform", trained_on="everything"), "does not name a bank", "unlimited"),
    "locator without a bank": (examine("locator"), "no bank", "bank=4"),
    "seed of a recipe": (
        ["train", "ppo_recurrent:seed=99999999999", "--family", FAMILY, "--out", "{here}/n"],
        "seed=99999999999",
        "from 0",
    ),
    # names
    "command": (["examin", "uniform"], "examin", "--help"),
    "option": (examine("uniform", ringz="fresh"), "ringz", "--help"),
    "subject": (examine("thompsn"), "no subject 'thompsn'", "Did you mean 'thompson'"),
    "family": (examine("uniform", family="bernouli_bandit"), "no family", "Did you mean 'bernoulli_bandit'"),
    "family missing": (examine("uniform", family=""), "No subject's file names a family", "--family bernoulli_bandit"),
    "split": (examine("uniform", splits="fresh,shifted:lo"), "no split 'shifted:lo'", "Did you mean 'shifted:low'"),
    "split that does not apply": (examine("uniform", splits="seen"), "none of the splits seen", "bank"),
    "metric": (examine("uniform", metrics="benfit"), "no metric 'benfit'", "Did you mean 'benefit'"),
    "recipe": (["train", "ppo", "--family", FAMILY, "--out", "{here}/n"], "no recipe 'ppo'", "ppo_recurrent"),
    "kind": (["list", "metrc"], "no kind of plug-in", "Did you mean 'metrics'"),
    "plug-in": (["check", "metrics/benfit"], "no metric 'benfit'", "Did you mean 'benefit'"),
    "plug-in of no kind": (["check", "thompsn"], "no plug-in", "Did you mean 'thompson'"),
    "setting": (examine("thompson:discont=.5"), "no setting 'discont'", "Did you mean 'discount'"),
    "setting of a family": (examine("uniform", family="bernoulli_bandit:arm=3"), "'arm'", "Did you mean 'arms'"),
    "setting without =": (examine("thompson:discount"), "'discount' in 'thompson:discount'", "key=value"),
    "setting twice": (examine("thompson:a=1,a=2"), "'a' is set twice", "once"),
    "setting of a metric": (
        examine("uniform", metrics="benefit:older_than=99"),
        "has no setting 'older_than'",
        "There are: none",
    ),
    "setting needed": (examine("function"), "path", "Its settings are"),
    # a user's own functions
    "module missing": (examine("no_such_module:f"), "No module named 'no_such_module'", "PYTHONPATH"),
    "module raises": (examine("broken_module:f"), "RuntimeError: no licence", "module:factory"),
    "module without factory": (agent("nothing_here"), "no function 'nothing_here'", "module:factory"),
    "factory is a number": (agent("not_callable"), "no function 'not_callable'", "module:factory"),
    "factory raises": (agent("factory_raises"), "FileNotFoundError: weights.bin", "factory(family)"),
    "factory returns no function": (agent("factory_returns_number"), "returned int", "f(percept, state, rng)"),
    "function raises": (agent("raises"), "ZeroDivisionError: no prior", "at trial 0"),
    "function takes too few": (agent("takes_too_few"), "TypeError", "f(percept, state, rng)"),
    "subject raises": (agent("whole_subject_raises"), "LookupError: no such layer", "Fix that code"),
    "no pair": (agent("no_pair"), "not a pair", "state)"),
    "action NaN": (agent("nan_action"), "not a number", "whole numbers"),
    "action 1.5": (agent("half_action"), "the action 1.5", "whole numbers"),
    "action 9": (agent("arm_nine"), "the action 9", "from 0 to 2"),
    "action -1": (agent("arm_minus"), "the action -1", "from 0 to 2"),
    "action in words": (agent("words"), "of type <U4", "whole numbers"),
    "one action too few": (agent("too_short"), "shape (63,)", "shape (64,)"),
    "one action for all": (agent("scalar"), "shape ()", "shape (64,)"),
    "ragged": (agent("ragged"), "not an array", "actions [64]"),
    "probabilities sum to 2.7": (agent("unnormalised"), "[0.9, 0.9, 0.9]", "sum to 1"),
    "probability negative": (agent("negative"), "-0.5", "not negative"),
    "probability NaN": (agent("nan_probabilities"), "nan", "finite"),
    "probabilities of four arms": (agent("four_arms"), "shape (64, 4)", "(64, 3)"),
    "state without axis": (agent("lone_state"), "shape (3,)", "leading axis 64"),
    "state a number": (agent("number_state"), "['count'] is int", "leading axis 64"),
    "weights change in a closure": (agent("learns_closure"), "changed while it ran: weights", "does not train"),
    "weights change in a module": (agent("learns_global"), "changed while it ran: TALLY", "does not train"),
    "weights change in an agent": (agent("learns_object"), "agent.net['head'][0]", "does not train"),
    "weights change in a method": (agent("learns_method"), "net['head'][0]", "does not train"),
    "weights change in a default": (agent("learns_default"), "defaults[0]", "does not train"),
    "weights change, scripted": (examine("drifting_weights"), "changed while it ran: .weights", "does not train"),
    "leaks between blocks": (agent("leaks_blocks"), "depends on", "all memory in the carry"),
    "leaks, scripted": (examine("leaking"), "depends on an earlier block", "all memory in the carry"),
    "takes its neighbours' data": (agent("takes_neighbours"), "other lifetimes in its block", "one row per lifetime"),
    "draws of its own": (agent("own_randomness"), "of the actions change", "draw only from the key that is passed in"),
    "second subject": (examine("uniform", "agents_under_test:half_action"), "the action 1.5", "whole numbers"),
    # reports
    "report of nothing": (report("nowhere"), "no findings.json", "Name the folder"),
    "report of a file": (["report", "{here}/log.csv"], "no findings.json", "Name the folder"),
    "findings cut short": (report("findings cut"), "incomplete or broken", "Run the command again"),
    "findings a list": (report("findings list"), "incomplete or broken", "Run the command again"),
    "findings of another format": (report("findings format"), "not a mesascope-finding/2", "findings.json"),
    "finding incomplete": (report("findings fields"), "incomplete", "fields are"),
    "index missing": (report("index missing"), "index.json", "Run the command again"),
    "index of other groups": (report("index other"), "incomplete or broken", "Run the command again"),
    "index too short": (report("index short"), "incomplete or broken", "Run the command again"),
    "trials missing": (report("trials missing"), "no file", "Name a .nc file"),
    "trials cut short": (report("trials cut"), "not a netCDF file of trials", "Name a .nc file"),
    "placement incomplete": (report("placement"), "incomplete or broken", "Run the command again"),
    "report into a file": (
        ["report", "{here}/runs/whole", "--out", "/dev/null/page.html"],
        "/dev/null",
        "Name another",
    ),
    "findings without trials": (log("runs/index missing/trials.nc"), "index.json", "Run the command again"),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with everything that is wrong in it."""
    here = tmp_path_factory.mktemp("wrong")
    for name in ("empty.nc", "empty.csv", "empty.safetensors"):
        (here / name).touch()
    for name in ("folder.nc", "folder.csv"):
        (here / name).mkdir()
    noise = np.random.default_rng(0).bytes(3000)
    for name in ("noise.nc", "noise.csv", "noise.safetensors"):
        (here / name).write_bytes(noise)
    (here / "log.xyz").write_text("choice,reward\n0,1\n")
    rows = [f"{i},{t},{(i + t) % 3},{(i * t) % 2}" for i in range(4) for t in range(6)]
    (here / "log.csv").write_text("participant,trial,choice,reward\n" + "\n".join(rows) + "\n")
    (here / "broken_module.py").write_text("raise RuntimeError('no licence')\n")
    foreign = xr.Dataset({"temperature": ("day", np.arange(5.0))})
    foreign.to_netcdf(here / "foreign.nc", engine="h5netcdf")
    xr.DataTree.from_dict({"/fresh": foreign}).to_netcdf(here / "other.nc", engine="h5netcdf")
    whole = here / "runs" / "whole"
    assert run_command(["measure", str(here / "log.csv"), "--out", str(whole)]) == 0
    (here / "cut.nc").write_bytes((whole / "trials.nc").read_bytes()[:3000])
    findings = json.loads((whole / "findings.json").read_text())
    index = json.loads((whole / "index.json").read_text())
    other = json.loads(json.dumps(findings))
    other["subjects"][0]["findings"][0]["format"] = "mesascope-finding/9"
    less = json.loads(json.dumps(findings))
    del less["subjects"][0]["findings"][0]["estimate"]
    placed = json.loads(json.dumps(findings))
    placed["subjects"][0]["placement"] = {"level": "general", "rule": {}}
    changes = {
        "findings cut": ("findings.json", json.dumps(findings)[:500]),
        "findings list": ("findings.json", "[]"),
        "findings format": ("findings.json", json.dumps(other)),
        "findings fields": ("findings.json", json.dumps(less)),
        "placement": ("findings.json", json.dumps(placed)),
        "index missing": ("index.json", None),
        "index other": ("index.json", json.dumps(index).replace("s0", "s7")),
        "index short": ("index.json", "[]"),
        "trials missing": ("trials.nc", None),
        "trials cut": ("trials.nc", (whole / "trials.nc").read_bytes()[:3000]),
    }
    for name, (file, text) in changes.items():
        copy = shutil.copytree(whole, here / "runs" / name)
        if text is None:
            (copy / file).unlink()
        elif isinstance(text, bytes):
            (copy / file).write_bytes(text)
        else:
            (copy / file).write_text(text)
    return here


@pytest.fixture
def typed(here, monkeypatch):
    """Types a command in a folder of its own, where the modules of agents can be named."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.syspath_prepend(here)
    monkeypatch.chdir(here)

    def type_(arguments, *more):
        return run_command([part.replace("{here}", str(here)) for part in (*arguments, *more)])

    yield type_
    sys.modules.pop("agents_under_test", None)


@pytest.mark.parametrize("name", CASES)
def test_one_message_with_cause_and_remedy(name, typed, capsys):
    arguments, cause, remedy = CASES[name]
    code = typed(arguments)
    told = capsys.readouterr()
    assert code == 2, told.err
    assert told.out == ""
    assert told.err.startswith("mesascope: ")
    assert told.err.count("mesascope: ") == 1
    assert "Traceback" not in told.err
    assert len(told.err) < 2000
    problem, _, rest = told.err.partition("\n")
    assert cause in problem
    assert remedy in rest


@pytest.mark.parametrize(
    "name", ["nc of noise", "subject", "action 1.5", "findings cut short", "kind", "no lifetimes", "plug-in"]
)
def test_a_failing_command_prints_no_json(name, typed, capsys):
    arguments, cause, _ = CASES[name]
    assert typed(arguments, "--json") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert cause in told.err


def test_a_failing_function_leaves_no_findings(typed, here):
    assert typed(agent("half_action", out="{here}/nothing")) == 2
    assert not (here / "nothing" / "findings.json").exists()


def test_a_folder_that_cannot_be_written(typed, here, capsys):
    locked = here / "locked"
    locked.mkdir(mode=0o500)
    try:
        (locked / "metric").touch()
    except OSError:
        assert typed(examine("uniform", out=str(locked))) == 2
        assert "Permission denied" in capsys.readouterr().err
    else:
        pytest.skip("this user may write anywhere")
