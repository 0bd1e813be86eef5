"""The cache of heat maps: two requests that differ in one option never share a map that is not the same for both.

Every option of every method is changed, one at a time, on an engine that keeps what it computed. Each answer is compared
with that of an engine that keeps nothing.
"""

from itertools import chain

import keras
import numpy as np
import pytest
from keras import layers

from layerscope.attribution import METHODS
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits

SIDE = 8
OTHERS = {
    "target": ["0", "2"],
    "output": ["sig", "double"],
    "position": [(0, 0), (1, 2)],
    "layer": ["stem", "stem@preactivation"],
    "input": ["second"],
    "samples": [3],
    "noise": [0.3],
    "seed": [1],
    "steps": [3],
    "baseline": ["white", "mean", "zero"],
    "patch": [3],
    "stride": [1],
    "top": [2],
    "score": ["logit", "log_probability", "probability"],
}
"""Values of each option besides that of `usual`."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Two pictures, and three outputs that are maps: a softmax, a sigmoid of the same logits, and twice the logits."""
    keras.utils.set_random_seed(3)
    first, second = (keras.Input((SIDE, SIDE, 3), name=name) for name in ("first", "second"))
    stem = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")
    hidden = stem(layers.Add(name="add")([first, layers.Permute((2, 1, 3), name="turn")(second)]))
    hidden = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="last")(hidden)
    logits = layers.Conv2D(3, 1, name="logits")(hidden)
    heads = {
        "soft": layers.Softmax(name="soft")(logits),
        "sig": layers.Activation("sigmoid", name="sig")(logits),
        "double": layers.Rescaling(2.0, name="double")(logits),
    }
    directory = tmp_path_factory.mktemp("heads")
    keras.Model([first, second], heads).save(directory / "heads.keras")
    return directory


@pytest.fixture(scope="module")
def fresh(directory):
    """Keeps nothing that it computed."""
    engine = LocalEngine(directory, Limits(activation_cache_bytes=1))
    engine.load_all()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def keeping(directory):
    engine = LocalEngine(directory)
    engine.load_all()
    yield engine
    engine.close()


def usual(method):
    """The options from which one at a time is changed. The method takes few runs with them."""
    wanted = {"output": "soft", "target": "1", "samples": 2, "steps": 2, "patch": 2, "stride": 2}
    return {name: value for name, value in wanted.items() if name in METHODS[method].options.model_fields}


def variations(method):
    """The usual options, and all that differ from them in one."""
    usual_ones = usual(method)
    changed = (
        {**usual_ones, name: value} for name in METHODS[method].options.model_fields for value in OTHERS[name]
    )
    return list(chain([usual_ones], changed))


def answer(engine, method, options):
    pixels = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.uint8)
    sources = {
        name: [TensorSource(image, preprocess=True)]
        for name, image in zip(("first", "second"), pixels, strict=True)
    }
    query = Query(model="heads", sources=sources, methods={method: METHODS[method].options(**options)})
    return engine.run(query).attribution(method)


@pytest.mark.parametrize("method", METHODS)
def test_another_option_is_never_answered_with_the_map_of_the_first(keeping, fresh, method):
    asked = variations(method)
    expected = [answer(fresh, method, options) for options in asked]
    for options, own in [*zip(asked, expected, strict=True)] * 2:
        found = answer(keeping, method, options)
        np.testing.assert_array_equal(found.maps, own.maps, err_msg=str(options))
        assert found.targets == own.targets
    assert len({each.maps.tobytes() for each in expected}) > 1


@pytest.mark.parametrize(("order", "target"), [(("soft", "sig"), "0"), (("sig", "soft"), "2")])
def test_two_outputs_of_the_same_logits_have_their_own_occlusion(keeping, fresh, order, target):
    asked = [{"output": name, "target": target} for name in order]
    found = [answer(keeping, "occlusion", options).maps for options in asked]
    np.testing.assert_array_equal(found, [answer(fresh, "occlusion", options).maps for options in asked])
    assert not np.array_equal(*found)


def test_a_map_that_is_the_same_for_both_is_computed_once(keeping):
    """What an option stands for counts, not how it was written."""
    likeliest = answer(keeping, "layercam", {"output": "sig", "layer": "add"})
    assert not likeliest.hit
    (target,) = likeliest.targets
    options = {"output": "sig", "layer": "add:0", "target": str(target.index)}
    assert answer(keeping, "layercam", options).hit
