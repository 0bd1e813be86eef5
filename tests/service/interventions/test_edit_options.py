"""The option `edit`: one grammar in texts and in JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.errors import LayerscopeError, OptionInvalid
from layerscope.interventions import EditOptions, parse_edit
from layerscope.interventions.options import validated_edit

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
LISTS = st.lists(NUMBERS, min_size=1, max_size=4)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters=";"), min_size=1, max_size=30).filter(
    lambda text: text == text.strip()
)
PLACES = {
    "channels": st.sampled_from(["all", "0", "3,5-8"]),
    "region": st.tuples(*[st.integers(0, 99)] * 4),
}


@st.composite
def edits(draw):
    given = {name: draw(values) for name, values in PLACES.items() if draw(st.booleans())}
    kind = draw(st.sampled_from(["set", "mean", "patch", "affine"]))
    if kind == "affine":
        affine = {"scale": draw(LISTS), "add": draw(LISTS), "high": draw(NUMBERS)}
        given |= dict(list(affine.items())[: draw(st.integers(1, 3))])
    else:
        given |= {"set": {"set": draw(NUMBERS)}, "mean": {"set": "mean"}, "patch": {"patch": "sha256-0"}}[
            kind
        ]
    return validated_edit({"tap": draw(NAMES), **given})


@given(edits())
def test_an_edit_and_its_text_are_the_same(edit):
    assert parse_edit(edit.text) == edit


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("conv2;channels=3,5-8;set=0", {"channels": "3,5-8", "set": 0.0}),
        ("conv2; region = 0,0,14,7 ; patch = sha256-1", {"region": (0, 0, 14, 7), "patch": "sha256-1"}),
        ("conv2;add=0.5,-1,0;channels=0-2", {"add": (0.5, -1.0, 0.0), "channels": "0-2"}),
        ("conv2;scale=2;add=1;low=-1;high=1;", {"scale": (2.0,), "add": (1.0,), "low": -1.0, "high": 1.0}),
        ("conv2;set=mean", {"set": "mean"}),
        ("conv2;low=0", {"low": 0.0}),
    ],
)
def test_texts(text, options):
    assert parse_edit(text) == EditOptions(tap="conv2", **options)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "tap"),
        ("conv2", "give set, or patch, or any of scale"),
        ("conv2;set=0;scale=2", "give set, or patch"),
        ("conv2;set=0;patch=x", "give set, or patch"),
        ("conv2;set=0;set=1", "each option once"),
        ("conv2;set", "write it like"),
        ("conv2;tap=x;set=0", "each option once"),
        ("conv2;zero=1", "Extra inputs"),
        ("conv2;set=nan", "finite"),
        ("conv2;set=1e999", "finite"),
        ("conv2;scale=", "number"),
        ("conv2;scale=1,,2", "number"),
        ("conv2;region=1,2,3", "region"),
        ("conv2;low=2;high=1", "low must not be above high"),
        (";set=0", "tap"),
        ("x" * 30_000, "may have 20000 characters"),
    ],
)
def test_what_is_no_edit_is_refused_with_the_reason(text, reason):
    with pytest.raises(OptionInvalid, match=reason):
        parse_edit(text)


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["a", ";", "set=", "0", "channels=", ",", "-", "="])).map("".join)
)
def test_any_text_is_an_edit_or_refused(text):
    try:
        edit = parse_edit(text)
        _ = edit.selection
    except LayerscopeError:
        return
    assert parse_edit(edit.text) == edit


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*EditOptions.model_fields, "x"]), inner, max_size=4)
        ),
    )
)
def test_any_json_is_an_edit_or_refused(value):
    try:
        edit = validated_edit(value)
    except OptionInvalid:
        return
    assert validated_edit(edit.model_dump()) == edit
