"""No password, key or header is written or said, whatever was typed and whatever a server repeats."""

from __future__ import annotations

import base64
import logging
import sys

import pytest

from mesascope import catalogue
from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.examination.runs import format_command_line
from mesascope.guards.secrecy import redact
from subjects.lm_server import serving

pytest.importorskip("httpx", reason="needs the extra lm")

KEY = "sk-SECRET-0123456789uvwxyz"
ADDRESSES = [
    "http://user:p@ss@{}/v1",
    "http://user:p%40ss%2Fw@{}/v1?api-key=t0k9&api-version=2024-02-01",
    "http://sk-T0KEN9@{}/v1",
]
NOT_TO_BE_READ = ("p@ss", "//ss@", "ss%2F", "p%40", "ss/w", "t0k9", "T0KEN9", "SECRET", "wxyz", "user:")
NOT_TO_BE_READ += tuple(
    base64.b64encode(told.encode()).decode()[:12] for told in ("user:p@ss", "user:p@ss/w", "sk-T0KEN9:")
)


def nothing_in(*texts):
    for text in texts:
        assert not [secret for secret in NOT_TO_BE_READ if secret in str(text)], text


@pytest.fixture(scope="module")
def family():
    return catalogue.make("families", "word_labels:trials=5")


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("always", ["echo", "echo start", "echo masked"])
@pytest.mark.parametrize("key", ["", "LM_KEY"])
def test_what_a_server_repeats_in_its_error(address, always, key, tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LM_KEY", f"{KEY}\n")  # as a file read into it would leave it
    caplog.set_level(logging.INFO)
    with serving(always=always) as server:
        typed = address.format(server.address.removeprefix("http://").removesuffix("/v1"))
        asked = f"openai_api:path={typed},cache=asked.jsonl,key={key},model=m@q4"
        flags = ["--family", "word_labels:trials=5", "--splits", "fresh", "--lifetimes", "64"]
        assert run_command(["examine", asked, *flags]) == 2
        got = server.seen[0]["headers"]["Authorization"]
    user = "sk-T0KEN9:" if "T0KEN9" in address else "user:p@ss/w" if "%2F" in address else "user:p@ss"
    assert got == (f"Bearer {KEY}" if key else f"Basic {base64.b64encode(user.encode()).decode()}")
    told = capsys.readouterr().err
    assert "status 401: you sent" in told and "Put a valid key" in told
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert any("127.0.0.1" in p.read_text() and "model=m@q4" in p.read_text() for p in files)
    nothing_in(told, caplog.text, *(p.read_bytes() for p in files), *tmp_path.rglob("*"))


@pytest.mark.parametrize("key", [KEY, "hunter", "AKIA0123456789", "LM_KEY_THAT_IS_NOT_SET"])
@pytest.mark.parametrize("asked", ["openai_api:path=http://127.0.0.1:1/v1,key={}", "openai_api:key = {},path=http://h"])
def test_a_key_that_names_no_variable_is_refused_and_not_repeated(key, asked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["examine", asked.format(key), "--family", "word_labels:trials=5"]) == 2
    told = capsys.readouterr()
    assert "not the name of an environment variable" in told.err
    (command,) = tmp_path.rglob("command.txt")
    assert key not in told.err + told.out + command.read_text() + str(command)


@pytest.mark.parametrize(
    "address",
    [
        "http://user:p/SECRET@127.0.0.1:1/v1",
        "http://user:1/SECRET@127.0.0.1:1/v1",
        "http://user:1?SECRET@127.0.0.1:1/v1",
        "http://user:p#SECRET@127.0.0.1:1/v1",
        "http://user:p[SECRET@127.0.0.1:1/v1",
        "http://user:p SECRET@127.0.0.1:1/v1",
        "http://user:SECRET@127.0.0.1:99999/v1",
        "http://user:p\u2100SECRET@127.0.0.1:1/v1",
        "openai_api:path=http://user:p,SECRET@127.0.0.1:1/v1",
        "openai_api:path=http://user:SECRET@h/v1,key=A,key=SECRET",
        "openai_api:path=http://user:SECRET@h/v1,api_key=SECRET",
        "openai_apis:key=SECRET",
        "ftp://user:SECRET@127.0.0.1:1/v1",
    ],
)
def test_an_address_that_is_not_clear_is_refused_and_not_repeated(address, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["examine", address, "--family", "word_labels:trials=5"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("mesascope: ") and "user:" not in told.err
    nothing_in(told.err, told.out, *tmp_path.rglob("*"), *(p.read_text() for p in tmp_path.rglob("*.txt")))


def test_a_key_that_no_header_can_carry_is_not_shown(family, monkeypatch):
    for key in (f"{KEY}\nX-Other: 1", f"{KEY}é"):
        monkeypatch.setenv("LM_KEY", key)
        with pytest.raises(MesascopeError, match="LM_KEY contains a character") as told:
            catalogue.make("subjects", "openai_api:path=http://127.0.0.1:1/v1,key=LM_KEY", family)
        nothing_in(told.value)


def test_a_mistake_with_all_of_its_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MESASCOPE_TRACEBACK", "1")
    with pytest.raises(MesascopeError) as told:
        run_command(["examine", f"http://user:p/{KEY}@h/v1", "--family", "word_labels:trials=5"])
    sys.excepthook(told.type, told.value, told.tb)
    assert "Traceback" in (shown := capsys.readouterr().err) and "SECRET" not in shown


def test_the_command_repeats_what_is_no_secret(monkeypatch):
    monkeypatch.setenv("LM_KEY", KEY)
    for kept in (
        "openai_api:path=http://127.0.0.1:1234/v1,model=qwen2.5@q4_k_m,key=LM_KEY",
        "openai_api:path=http://127.0.0.1:1234/v1,key=OPENAI_API_KEY,max_tokens=8",
        "torch_module:path=net.pt,key=model_state_dict",
        "--columns=action=key,feedback=token",
        "a@b.csv",
    ):
        assert format_command_line([kept]) == f"mesascope {kept}"
    assert redact("Basic training of a Bearer token: 2 * 3 *** x") == "Basic training of a Bearer token: 2 * 3 *** x"


def test_a_short_password_blanks_no_other_word():
    assert redact("context x too long", {"x"}) == "context … too long"
    assert redact("the 6789uvw of it, and 012", {KEY}) == "the … of it, and 012"


@pytest.mark.slow  # a whole run; CI runs it
def test_a_whole_run_holds_no_secret(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LM_KEY", KEY)
    with serving("parrot") as server:
        typed = server.address.replace("http://", "http://user:p@ss@") + "?api-key=t0k9"
        asked = f"openai_api:path={typed},key=LM_KEY,cache=asked.jsonl,batch=64"
        flags = ["--family", "word_labels:trials=5", "--splits", "fresh", "--metrics", "unanswered"]
        assert run_command(["examine", asked, *flags, "--lifetimes", "64", "--out", "out", "--json"]) == 0
        assert {r["path"] for r in server.seen} == {"/v1/completions?api-key=t0k9"}
    told = capsys.readouterr()
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {"command.txt", "findings.json", "report.html", "trials.nc", "asked.jsonl"} <= {p.name for p in files}
    nothing_in(told.out, told.err, *(p.read_bytes().decode(errors="replace") for p in files))
