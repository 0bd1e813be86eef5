import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.encode import FORMATS, MEDIA_TYPES
from layerscope.errors import NotAcceptable, UnsupportedFormat
from layerscope_api.responses.content_negotiation import format_for

NPZ, NPY, SAFETENSORS = MEDIA_TYPES["npz"], MEDIA_TYPES["npy"], MEDIA_TYPES["safetensors"]
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/*", "json"),
        ("application/json", "json"),
        ("application/json; charset=utf-8", "json"),
        (BROWSER, "json"),
        (NPZ, "npz"),
        (NPY, "npy"),
        (SAFETENSORS, "safetensors"),
        ("APPLICATION/X-NPZ", "npz"),
        (f"{NPZ}, */*", "npz"),
        (f"*/*, {NPZ}", "npz"),
        (f"{NPZ}, */*;q=0.1", "npz"),
        (f"{NPZ};q=0.5, {NPY}", "npy"),
        (f"{NPZ};q=0.5, {NPY};q=0.2", "npz"),
        (f"{NPZ} ; q=0.5 , {SAFETENSORS};q=0.75", "safetensors"),
        ("application/json;q=0, */*", "npy"),
        ("application/json;q=0.1, application/*;q=0.5", "npy"),
        (f"{NPZ};q=nonsense, {NPY}", "npy"),
        (f"{NPZ};q=2, {NPY};q=0.1", "npy"),
        (f"{NPZ};q=nan, {NPY};q=0.1", "npy"),
    ],
)
def test_accept_is_read_as_http_says(accept, chosen):
    assert format_for(accept, None) == chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "image/png, text/*", "*/*;q=0", "application/json;q=0", ";", "application"]
)
def test_without_an_acceptable_format_the_spoken_ones_are_named(accept):
    with pytest.raises(NotAcceptable) as caught:
        format_for(accept, None)

    assert all(media_type in caught.value.message for media_type in MEDIA_TYPES.values())


@pytest.mark.parametrize("name", FORMATS)
def test_an_explicit_format_wins(name):
    assert format_for("text/html", name) == name


@pytest.mark.parametrize("asked", ["", "JSON", "hdf5", "application/json", "n" * 10_000])
def test_a_format_nobody_speaks_is_refused_in_one_sentence(asked):
    with pytest.raises(UnsupportedFormat) as caught:
        format_for(None, asked)

    assert len(caught.value.message) < 400


@given(st.text(alphabet="aplicton/json*;q=0.1, \t", max_size=60))
def test_any_header_gives_a_format_or_a_refusal(accept):
    try:
        chosen = format_for(accept, None)
    except NotAcceptable:
        return
    assert chosen in FORMATS
