"""Data sets of texts: what is listed of a .jsonl file, and what a job over it writes."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from layerscope.demo import TEXT_MODEL
from layerscope.errors import DataSetUnreadable, InputChanged, TextUnreadable
from layerscope.execution.inputs import TextSource
from layerscope.extraction.data_sets import open_data_set
from layerscope.extraction.data_sets.texts import _LONGEST_LINE
from layerscope.extraction.extractor import query_of
from layerscope.extraction.planning import Request, opened_job
from layerscope.extraction.runners.here import Here
from layerscope.extraction.running import run
from layerscope.limits import MIB
from layerscope.tensors.options import TensorOptions

TEXTS = ["An integer literal has no sign.", "A string 😀", "class " * 99]


def lines(*values):
    return "".join(f"{json.dumps(value)}\n" for value in values)


def test_every_line_that_is_not_blank_is_a_text(tmp_path):
    path = tmp_path / "reviews.jsonl"
    path.write_text(
        f'\n{{"text": "über", "label": 1}}\r\n\n{lines({"text": [2, 5, 3]})}{{"text": ""}}', "utf-8"
    )
    data_set = open_data_set(str(path))
    rows = list(data_set.rows())
    assert [row.path for row in rows] == ["0", "1", "2"]
    assert [data_set.read(row, MIB).text for row in reversed(rows)] == ["", (2, 5, 3), "über"]
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputChanged):
        data_set.read(rows[0], MIB)


def test_the_text_may_have_another_key(tmp_path):
    path = tmp_path / "reviews.jsonl"
    path.write_text(lines({"body": "a", "title": "b"}))
    for key in ("body", "title"):
        data_set = open_data_set(f"{path}:{key}")
        assert data_set.read(next(data_set.rows()), MIB) == TextSource({"body": "a", "title": "b"}[key])


@pytest.mark.parametrize(
    "line",
    ["text", '{"text": 3}', '{"text": [-1]}', '["text"]', '"text"', "{}", '{"text": "\\ud83d"}', "\udcff"],
)
def test_a_line_that_is_no_text_costs_itself_only(tmp_path, line):
    path = tmp_path / "reviews.jsonl"
    path.write_bytes(f'{line}\n{{"text": "a"}}'.encode("utf-8", "surrogateescape"))
    data_set = open_data_set(str(path))
    bad, good = data_set.rows()
    with pytest.raises(TextUnreadable, match="Text 0 of reviews"):
        data_set.read(bad, MIB)
    assert data_set.read(good, MIB).text == "a"


def test_a_file_of_one_long_line_is_refused(tmp_path):
    path = tmp_path / "reviews.jsonl"
    path.write_bytes(b" " * (_LONGEST_LINE + 1))
    with pytest.raises(DataSetUnreadable, match="a line of more than 16 MiB"):
        list(open_data_set(str(path)).rows())


def test_a_job_over_texts_gives_what_single_requests_give(tmp_path, prepared):
    shutil.copytree(TEXT_MODEL, tmp_path / "models" / "sentences" / "1")
    path = tmp_path / "reviews.jsonl"
    path.write_text(f"no text\n{lines(*({'text': text} for text in TEXTS))}")
    layers = ["probabilities", "norm2b"]
    request = Request(
        models=tmp_path / "models",
        model="sentences",
        layers=layers,
        options=TensorOptions(),
        data=str(path),
        format="safetensors",
    )
    with opened_job(request, str(tmp_path / "out"), prepared) as (output, engine):
        progress = run(output, Here(prepared, engine), most_failed=1)
        assert (progress.done, progress.failed) == (3, 1)
        found = load_file(tmp_path / "out" / "parts" / "part-00000.safetensors")
        for number, text in enumerate(TEXTS):
            wanted = engine.run(query_of("sentences", layers, TextSource(text))).activations
            for address, each in wanted.items():
                np.testing.assert_array_equal(found[address][number], each.values[0])
    failed = (tmp_path / "out" / "failed" / "part-00000.jsonl").read_text()
    assert json.loads(failed)["code"] == "text_unreadable"
