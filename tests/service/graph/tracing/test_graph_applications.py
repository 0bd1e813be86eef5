"""Every architecture of keras.applications: a tap at every layer call, and the values that Keras computes."""

import zlib

import keras
import numpy as np
import pytest
from graph_models import assert_close, scatter_statistics, traced

from eager_reference import EagerReference
from layerscope.models.architectures import architectures

pytestmark = pytest.mark.wide

SMALL = (
    "ConvNeXtTiny",
    "EfficientNetB0",
    "MobileNetV3Small",
    "ResNet50",
    "VGG16",
)
"""What is tried each time; the others only in the soak."""

SIZES = (32, 71, 75)
"""Sides of images. The first that an architecture allows is taken."""


def build(name):
    make = architectures()[name]
    for size in SIZES:
        try:
            return scatter_statistics(make(weights=None, input_shape=(size, size, 3), classes=7))
        except ValueError as error:
            refused = error
    raise refused


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=() if each in SMALL else pytest.mark.soak) for each in sorted(architectures())],
)
def test_taps_are_complete_and_five_of_them_right(name):
    seed = zlib.crc32(name.encode())
    keras.utils.set_random_seed(seed)
    made = traced(build(name))
    random = np.random.default_rng(seed)
    image = random.uniform(0, 255, (1, *made.trace.inputs[0].shape)).astype(np.float32)
    expected = EagerReference(made.model, image).values
    taps = {tap.address for tap in made.taps("all", "all@input")}
    assert taps - {each.name for each in made.trace.inputs} == expected.keys()
    assert made.trace.unreachable == ()
    five = random.choice([each for each in expected if "@" not in each], 5, replace=False)
    for address, array in made.values(*five, on=[image]).items():
        assert np.ptp(expected[address]) > 0
        assert_close(array, expected[address], 1e-5)
    made.executable.close()
    keras.utils.clear_session(free_memory=False)
