import numpy as np
import pytest
from activation_examples import make_activation, make_activations, make_tap

from layerscope.encode import EXTENSIONS, MEDIA_TYPES, Metadata, encode, estimate, require_fits
from layerscope.errors import AnswerTooLarge, OptionInvalid, UnsupportedFormat
from layerscope.limits import Limits
from layerscope.tensors.options import TensorOptions
from layerscope.tensors.spec import TensorSpec

METADATA = Metadata(model="digits", version=1, digest="sha256-ab")
SMALL = Limits(json_elements=100, response_bytes=10_000)


def spec(*shape, dtype="float32", name="conv1"):
    return TensorSpec.of(make_tap(shape[1:], dtype, path=(name,)), shape)


def test_json_carries_as_many_values_as_the_limit_and_no_more():
    require_fits([spec(1, 100)], "json", SMALL)

    with pytest.raises(AnswerTooLarge) as caught:
        require_fits([spec(1, 100), spec(1, 1, name="dense")], "json", SMALL)

    assert (caught.value.details["values"], caught.value.details["limit"]) == (101, 100)
    assert len(caught.value.details["ways"]) == 3
    for hint in ("101", "100", "channels=", "reduce=", "region=", "stride=", "format=safetensors"):
        assert hint in caught.value.message


def test_json_without_values_is_not_bounded_by_them():
    require_fits([spec(1, 10**9)], "json", SMALL, values=False)


@pytest.mark.parametrize("form", ["npy", "npz", "safetensors"])
def test_binary_answers_are_bounded_in_bytes(form):
    require_fits([spec(1, 1_000)], form, SMALL)

    with pytest.raises(AnswerTooLarge) as caught:
        require_fits([spec(1, 2_500)], form, SMALL)

    assert caught.value.details["limit"] == 10_000
    assert len(caught.value.details["ways"]) == 3
    assert caught.value.details["bytes"] == estimate([spec(1, 2_500)], form) > 10_000
    for hint in ("10,000", "channels=", "reduce=", "dtype=float16"):
        assert hint in caught.value.message


def test_options_that_shrink_make_room():
    large = spec(1, 50, 50, 4)

    with pytest.raises(AnswerTooLarge):
        require_fits([large], "npz", SMALL)
    require_fits([large.reduced(TensorOptions(stride=5))], "npz", SMALL)
    require_fits([large.reduced(TensorOptions(reduce="mean"))], "json", SMALL)


def test_npy_holds_exactly_one_layer():
    with pytest.raises(UnsupportedFormat, match=r"one layer, not 2.*npz.*safetensors"):
        require_fits([spec(1, 2), spec(1, 2, name="dense")], "npy", Limits())
    with pytest.raises(UnsupportedFormat, match="one layer, not 0"):
        require_fits([], "npy", Limits())


def test_npy_has_no_place_for_a_scale():
    with pytest.raises(UnsupportedFormat, match="scale"):
        require_fits([spec(1, 2).reduced(TensorOptions(dtype="uint8"))], "npy", Limits())


@pytest.mark.parametrize("form", ["npy", "npz", "safetensors"])
def test_only_json_can_leave_values_out(form):
    with pytest.raises(OptionInvalid, match="format=json"):
        require_fits([spec(1, 2)], form, Limits(), values=False)


@pytest.mark.parametrize("form", ["json", "npy", "npz", "safetensors"])
def test_values_that_are_not_real_numbers_are_refused(form):
    with pytest.raises(UnsupportedFormat, match="complex64"):
        require_fits([spec(1, 2, dtype="complex64")], form, Limits())


def test_encode_checks_the_real_sizes_too():
    activations = make_activations(make_activation(np.zeros((1, 101), np.float32)))

    with pytest.raises(AnswerTooLarge):
        encode(activations, "json", METADATA, SMALL)


@pytest.mark.parametrize("form", list(MEDIA_TYPES))
def test_an_answer_names_its_type_and_extension(form):
    answer = encode(make_activations(make_activation(np.zeros((1, 2), np.float32))), form, METADATA, Limits())

    assert (answer.media_type, answer.extension) == (MEDIA_TYPES[form], EXTENSIONS[form])
