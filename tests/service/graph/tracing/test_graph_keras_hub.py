"""Models of keras-hub: the values of every tap, and their default Grad-CAM, against Keras and TensorFlow run eagerly."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, traced

import hub_models
from eager_reference import EagerReference
from layerscope.attribution import METHODS
from layerscope.errors import ModelRefused, NotDifferentiable
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine

RELATIVE = 1e-4

MAPS = {
    "clip_vision": ("backbone_encoder_block_1", 1),
    "deit": ("backbone/deit_encoder/transformer_block_2/ln_1", 2),
    "dinov2": ("backbone", 3),
    "efficientnet": ("backbone", None),
    "sam_images": ("backbone", None),
    "segformer": ("backbone", None),
    "swin": ("stage_1", 0),
    "vit": ("backbone/vit_encoder/transformer_block_2/ln_1", 1),
}
"""For models with maps: the layer that is explained if none is named, and the tokens before its map, if it is one of tokens."""

WITHOUT_MAPS = ("bert", "clip_text", "gpt2", "whisper")


REFUSED = {"stable_diffusion": "Layer 'scheduler' .* decides in Python by the value of a tensor"}
"""The whole of Stable Diffusion 3 computes its times from the number of steps in Python. Its parts open."""


def some(names, tried=("vit",)):
    """Those that are tried each time, and the others in the soak."""
    return [pytest.param(each, marks=() if each in tried else pytest.mark.soak) for each in sorted(names)]


def made(name):
    keras.utils.set_random_seed(len(name))
    return hub_models.MODELS[name]()


def examples(inputs):
    """An array for each input of a model, by name."""
    random = np.random.default_rng(0)
    return {each.name: example(random, each) for each in inputs}


def example(random, each):
    shape = (1, *(side or 7 for side in each.shape))
    if each.dtype == "float32":
        return random.uniform(0, 1, shape).astype(np.float32)
    highest = 2 if "segment" in each.name else 20
    return np.ones(shape, np.int32) if "mask" in each.name else random.integers(0, highest, shape, np.int32)


@pytest.mark.parametrize("name", some(hub_models.MODELS.keys() - REFUSED.keys()))
def test_every_tap_is_what_keras_computes(name):
    model = made(name)
    found = traced(model)
    arrays = list(examples(found.trace.inputs).values())
    expected = EagerReference(model, keras.tree.pack_sequence_as(model.input, arrays)).values
    # keras-hub also calls layers that are no attributes of others, which the reference does not find.
    assert {address for address in expected if "@" not in address} <= set(found.addresses)
    taps = [tap.address for tap in found.taps("all", "all@input") if tap.address in expected]
    for address, value in found.values(*taps, on=arrays).items():
        # Windows of attention are rows of the batch for Keras.
        assert_close(value, np.reshape(expected[address], value.shape), RELATIVE)
    found.executable.close()


@pytest.mark.soak
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_traced_is_refused_with_the_layer_and_the_reason(name):
    with pytest.raises(ModelRefused, match=REFUSED[name]):
        traced(made(name))


@pytest.fixture
def served(tmp_path):
    """Serves a model by its name."""
    engines = []

    def serve(name):
        model = made(name)
        folder = tmp_path / name / "1"
        folder.mkdir(parents=True)
        model.save(folder / "model.keras")
        (folder / "hub.py").write_text(hub_models.PLUGIN, "utf-8")
        (folder / "layerscope.json").write_text('{"plugins": ["hub.py"]}', "utf-8")
        engines.append(LocalEngine(tmp_path))
        engines[0].load_all()
        return engines[0], model

    yield serve
    for engine in engines:
        engine.close()


def explained(engine, name, given, target):
    query = Query(
        model=name,
        sources={key: [TensorSource(array)] for key, array in given.items()},
        methods={"gradcam": METHODS["gradcam"].options(target=str(target))},
    )
    return engine.run(query).attribution("gradcam")


@pytest.mark.parametrize("name", some(MAPS))
def test_the_default_map_is_that_of_tensorflow(served, name):
    engine, model = served(name)
    given = examples(engine.describe(name).inputs)
    layer, offset = MAPS[name]
    highest = 0.0
    for target in range(3):
        found = explained(engine, name, given, target)
        assert found.target_layer.address == layer
        values, slopes = values_and_gradient(model, layer, given, target)
        if offset is not None:
            size = (1, *found.maps.shape[1:], -1)
            values, slopes = (each[:, offset:].reshape(size) for each in (values, slopes))
        expected = np.maximum(np.einsum("nyxk,nk->nyx", values, slopes.mean((1, 2))), 0)
        magnitude = np.abs(values).max() * np.abs(slopes.mean((1, 2))).sum()
        np.testing.assert_allclose(found.maps, expected, rtol=0, atol=RELATIVE * magnitude)
        highest = max(highest, expected.max() / magnitude)
    assert highest > 0.01


def values_and_gradient(model, address, given, target):
    """The values of a layer, and the derivative of the sum of a class by them."""
    layer = model
    for name in address.split("/"):
        layer = next(each for each in layer._layers if each.name == name)
    original, noted = layer.call, []
    with tf.GradientTape() as tape:

        def call(*args, **kwargs):
            result = original(*args, **kwargs)
            tape.watch(result)
            noted.append(result)
            return result

        vars(layer)["call"] = call
        score = tf.reduce_sum(model(next(iter(given.values())), training=False)[..., target])
        del vars(layer)["call"]
    return noted[-1].numpy(), tape.gradient(score, noted[-1]).numpy()


@pytest.mark.parametrize("name", some(WITHOUT_MAPS))
def test_a_model_without_images_has_no_map(served, name):
    engine, _ = served(name)
    with pytest.raises(NotDifferentiable, match="computed from no layer that is a map over an image"):
        explained(engine, name, examples(engine.describe(name).inputs), 1)
