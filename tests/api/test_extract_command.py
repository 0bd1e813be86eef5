"""The commands `layerscope extract …`, as scripts use them: exit codes, lines of JSON, and errors in one sentence."""

import json

import pytest
from typer.testing import CliRunner

from digit_images import write_digits
from layerscope.models.library import Library
from layerscope_api.cli.app import app


@pytest.fixture
def digits(tmp_path):
    return write_digits(tmp_path / "digits")


@pytest.fixture
def extract(tmp_path):
    def call(*arguments):
        found = CliRunner().invoke(app, ["extract", *map(str, arguments)])
        lines = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
        return found.exit_code, lines, found.stderr

    return call


def asked(data, to, *more):
    return [
        "run",
        "--data",
        data,
        "--to",
        to,
        "--model",
        "digits",
        "--layers",
        "dense",
        "--part-images",
        "4",
        *more,
    ]


def test_a_script_reads_progress_result_and_exit_code(extract, digits, tmp_path):
    code, lines, _ = extract(*asked(digits, tmp_path / "out"))
    assert code == 0
    assert [next(iter(line)) for line in lines] == ["progress"] * 4 + ["result"]
    assert lines[-1]["result"] == {"done": 10, "failed": 0, "total": 10, "parts": 3}
    assert extract("status", tmp_path / "out")[:2] == (0, lines[-1:])


def test_failed_images_have_an_exit_code_and_are_tried_again(extract, digits, tmp_path):
    (digits / "page.png").write_bytes(b"<html>")
    code, lines, _ = extract(*asked(digits, tmp_path / "out"))
    assert (code, lines[-1]["result"]["failed"]) == (3, 1)
    code, lines, _ = extract("retry", tmp_path / "out", "--json")
    assert (code, lines[-1]["result"]["failed"]) == (3, 1)
    code, lines, _ = extract("retry", tmp_path / "out", "--max-failed", "1%", "--json")
    assert (code, lines[-1]["error"]["code"]) == (1, "too_many_failed")


def test_shares_are_done_by_one_command_each(extract, digits, tmp_path):
    code, lines, _ = extract(*asked(digits, tmp_path / "out", "--share", "0/2"))
    assert (code, lines[-1]["progress"]["parts"]) == (0, 2)
    assert extract("status", tmp_path / "out")[0] == 1
    code, lines, _ = extract(*asked(digits, tmp_path / "out", "--share", "1/2"))
    assert (code, lines[-1]["result"]["parts"]) == (0, 3)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--on", "moon"], "no runner 'moon'"),
        (["--share", "2/2"], "K from 0 to N-1"),
        (["--max-failed", "many"], "no percentage"),
        (["--format", "csv"], "parquet, safetensors, npy"),
        (["--reduce", "sum"], "none, mean, max, l2"),
        (["--dtype", "uint8"], "float16"),
    ],
)
def test_a_wrong_option_is_said_in_one_sentence(extract, digits, tmp_path, more, said):
    code, _, wrong = extract(*asked(digits, tmp_path / "out", *more))
    assert code == 1
    assert said in " ".join(wrong.split())
    assert "Traceback" not in wrong


def test_a_folder_without_a_job_is_said(extract, tmp_path):
    code, _, wrong = extract("status", tmp_path)
    assert code == 1
    assert "There is no job in" in wrong


def test_a_job_that_is_done_here_opens_its_model_once(extract, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSCOPE_KEEP_PREPARED", "false")
    opened = []
    load = Library.load
    monkeypatch.setattr(Library, "load", lambda self, *given: opened.append(given) or load(self, *given))
    assert extract(*asked(digits, tmp_path / "out"))[0] == 0
    assert len(opened) == 1
