"""Attributions of models that see no images, against `GradientTape` and perturbations, for any number of axes of places."""

import re
from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf

from layerscope.attribution import METHODS
from layerscope.errors import LayerscopeError, OptionInvalid
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from models_of_axes import CASES, guided_relu, write_cases
from saved_models import engine_over

LAYER_METHODS = [name for name, method in METHODS.items() if method.kind == "layer"]
FEW = 4
"""Steps or samples."""

OPTIONS = {"smoothgrad": {"samples": FEW}, "integrated-gradients": {"steps": FEW}}
INPUT_METHODS = [name for name, method in METHODS.items() if method.kind == "input"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    directory = tmp_path_factory.mktemp("axes")
    models = write_cases(directory)
    with engine_over(directory) as engine:
        yield engine, models


def explained(engine, name, method, **options):
    if METHODS[method].has_target:
        options["target"] = str(CASES[name].target)
    sources = {engine.describe(name).inputs[0].name: [TensorSource(CASES[name].values)]}
    return engine.run(
        Query(model=name, sources=sources, methods={method: METHODS[method].options(**options)})
    ).attribution(method)


def relu(values):
    return np.maximum(values, 0)


def places(values):
    return tuple(range(1, values.ndim - 1))


class Reference:
    """Every method from its paper, for values of shape (images, *places, channels)."""

    def __init__(self, model, case, layer=None):
        self.model, self.values, self.target = model, case.values, case.target
        values, self.has_channels = self.values, self.values.ndim > 2
        if layer is not None:
            both = keras.Model(model.input, [model.get_layer(layer).output, model.output])
            with tf.GradientTape() as tape:
                at, scores = both(tf.constant(values), training=False)
                score = scores[:, self.target]
            self.maps = at.numpy().astype(np.float64)
            self.slopes = tape.gradient(score, at).numpy().astype(np.float64)

    def scores(self, values):
        return self.model(values.astype(self.values.dtype), training=False).numpy()[:, self.target]

    def slope(self, values, model=None):
        with tf.GradientTape() as tape:
            given = tf.constant(values.astype(np.float32))
            tape.watch(given)
            score = (model or self.model)(given, training=False)[:, self.target]
        return tape.gradient(score, given).numpy()

    def over_channels(self, values, by):
        return by(values, -1) if self.has_channels else values

    def gradcam(self):
        return relu((self.maps * self.slopes.mean(places(self.maps), keepdims=True)).sum(-1))

    def gradcam_plus_plus(self):
        cubes = self.slopes**3 * self.maps.sum(places(self.maps), keepdims=True)
        below = 2 * self.slopes**2 + cubes
        alpha = np.divide(self.slopes**2, below, out=np.zeros_like(below), where=below != 0)
        weights = (alpha * relu(self.slopes)).sum(places(self.maps), keepdims=True)
        return relu((self.maps * weights).sum(-1))

    def hirescam(self):
        return (self.maps * self.slopes).sum(-1)

    def layercam(self):
        return relu((self.maps * relu(self.slopes)).sum(-1))

    def eigencam(self):
        result = []
        for maps in self.maps:
            rows = maps.reshape(-1, maps.shape[-1])
            projected = rows @ np.linalg.svd(rows, full_matrices=False)[2][0]
            result.append(np.reshape(projected if projected.sum() >= 0 else -projected, maps.shape[:-1]))
        return np.stack(result)

    def scorecam(self):
        result = []
        for image, maps in zip(self.values, self.maps, strict=True):
            kept = [maps[..., channel] for channel in range(maps.shape[-1]) if np.ptp(maps[..., channel]) > 0]
            masks = [self.enlarged((each - each.min()) / np.ptp(each), image.shape[:-1]) for each in kept]
            scores = self.scores(np.stack([image * mask[..., None] for mask in masks]))
            result.append(relu(np.tensordot(tf.nn.softmax(scores).numpy(), np.stack(kept), 1)))
        return np.stack(result)

    @staticmethod
    def enlarged(mask, sizes):
        """Linear between the centres of the values; the same along axes in front that the mask does not have."""
        for axis, size in enumerate(sizes[len(sizes) - mask.ndim :]):
            count = mask.shape[axis]
            at = (np.arange(size) + 0.5) * count / size - 0.5
            mask = np.apply_along_axis(
                lambda line, at=at, n=count: np.interp(at, np.arange(n), line), axis, mask
            )
        return np.broadcast_to(mask, sizes)

    def saliency(self):
        return self.over_channels(np.abs(self.slope(self.values)), np.max)

    def guided_saliency(self, build):
        guided = build(guided_relu)
        guided.set_weights(self.model.get_weights())
        return self.over_channels(np.abs(self.slope(self.values, guided)), np.max)

    def smoothgrad(self):
        shape = self.values[0].shape if self.has_channels else (*self.values[0].shape, 1)
        noise = [
            np.random.default_rng((0, sample)).standard_normal(shape, np.float32) for sample in range(FEW)
        ]
        result = []
        for image in self.values:
            versions = [image + 0.15 * np.ptp(image) * each.reshape(image.shape) for each in noise]
            result.append(self.slope(np.stack(versions)).mean(0))
        return self.over_channels(np.abs(result), np.max)

    def integrated_gradients(self):
        result = []
        for image in self.values:
            versions = [(step + 0.5) / FEW * image for step in range(FEW)]
            result.append(image * self.slope(np.stack(versions)).mean(0))
        return self.over_channels(np.stack(result), np.sum)

    def occlusion(self, patch):
        sizes = self.values.shape[1 : 1 + len(patch)]
        corners = list(product(*(range(0, size, side) for size, side in zip(sizes, patch, strict=True))))
        boxes = [
            tuple(slice(at, at + side) for at, side in zip(corner, patch, strict=True)) for corner in corners
        ]
        result = np.zeros((len(self.values), *sizes))
        for number, image in enumerate(self.values):
            covered = np.stack([image] * len(boxes))
            for version, box in zip(covered, boxes, strict=True):
                version[box] = 0
            whole = self.scores(image[None])[0]
            for box, score in zip(boxes, self.scores(covered), strict=True):
                result[(number, *box)] = whole - score
        return result


def near(found, expected):
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def by_name(method):
    return method.replace("-", "_").replace("++", "_plus_plus")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.layer])
def test_maps_over_layers_of_any_number_of_axes_are_those_of_the_papers(served, name):
    engine, models = served
    case = CASES[name]
    reference = Reference(models[name], case, case.layer)
    for method in LAYER_METHODS:
        if method == "scorecam" and case.of_input is None:
            continue
        found = explained(engine, name, method)
        assert found.target_layer.address == case.layer, method
        assert found.axes == ("batch", *(case.of_input or ("tokens",)))
        near(found.maps, getattr(reference, by_name(method))())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.of_input])
def test_maps_over_inputs_of_any_number_of_axes_are_those_of_the_papers(served, name):
    engine, models = served
    case = CASES[name]
    reference = Reference(models[name], case)
    sides = case.shape[: len(case.of_input)]
    patch = (1,) if name == "vector" else tuple(-(-side // 8) for side in sides)
    expected = {
        "saliency": reference.saliency,
        "guided-saliency": lambda: reference.guided_saliency(case.build),
        "smoothgrad": reference.smoothgrad,
        "integrated-gradients": reference.integrated_gradients,
        "occlusion": lambda: reference.occlusion(patch),
    }
    assert expected.keys() == set(INPUT_METHODS)
    for method, make in expected.items():
        if method == "guided-saliency" and name in {"recurrent", "film"}:
            continue
        found = explained(engine, name, method, **OPTIONS.get(method, {}))
        assert found.axes == ("batch", *case.of_input)
        near(found.maps, make())


def test_a_layer_without_the_steps_of_a_film_has_a_map_of_all_of_them(served):
    engine, models = served
    reference = Reference(models["film"], CASES["film"], "last")
    for method in ("gradcam", "scorecam"):
        found = explained(engine, "film", method, layer="last")
        assert found.axes == ("batch", "height", "width")
        near(found.maps, getattr(reference, method)())


def test_a_film_whose_channels_come_first_has_the_map_of_one_whose_channels_come_last(served, tmp_path):
    engine, models = served
    start = keras.Input((3, 1, 6, 7), name="film")
    first = {"data_format": "channels_first"}
    hidden = keras.layers.ConvLSTM2D(2, 3, return_sequences=True, name="each", **first)(start)
    hidden = keras.layers.ConvLSTM2D(3, 3, name="last", **first)(hidden)
    hidden = keras.layers.GlobalAveragePooling2D(name="pool", **first)(hidden)
    model = keras.Model(start, keras.layers.Dense(3, activation="softmax", name="kind")(hidden))
    model.set_weights(models["film"].get_weights())
    model.save(tmp_path / "film.keras")
    turned = LocalEngine(tmp_path)
    turned.load_all()
    values = np.moveaxis(CASES["film"].values, -1, 2)
    options = METHODS["gradcam"].options(layer="last", target=str(CASES["film"].target))
    sources = {"film": [TensorSource(values)]}
    query = Query(model="film", sources=sources, layers=["last"], methods={"gradcam": options})
    result = turned.run(query)
    near(result.attribution("gradcam").maps, explained(engine, "film", "gradcam", layer="last").maps)
    last = result.activations["last"]
    np.testing.assert_array_equal(last.select("1").values, last.values[:, 1:2])
    turned.close()


@pytest.mark.parametrize(("name", "patch"), [("series", 5), ("volume", (3, 2, 4)), ("vector", 2)])
def test_patches_have_a_side_for_each_axis(served, name, patch):
    engine, models = served
    case = CASES[name]
    sides = patch if isinstance(patch, tuple) else (patch,) * len(case.of_input)
    near(
        explained(engine, name, "occlusion", patch=patch).maps,
        Reference(models[name], case).occlusion(sides),
    )
    with pytest.raises(OptionInvalid, match="one for each axis of the input"):
        explained(engine, name, "occlusion", patch=(1, 1))


REQUESTS = [
    *((method, {}) for method in METHODS),
    *((method, {"layer": "kind"}) for method in LAYER_METHODS),
    *(("integrated-gradients", {"baseline": baseline, "steps": 2}) for baseline in ("grey", "mean")),
]


@pytest.mark.parametrize("name", CASES)
def test_what_a_refusal_suggests_works(served, name):
    """No message leads in a circle: each layer, method or baseline that it names is answered, or names a last thing to add."""
    engine, _ = served

    def follow(method, options, steps):
        try:
            assert np.isfinite(explained(engine, name, method, **options).maps).all()
        except LayerscopeError as error:
            if not steps:
                raise
            for suggested in suggestions(error, method, options):
                follow(*suggested, steps - 1)

    for method, options in REQUESTS:
        follow(method, options, 2)


def suggestions(error, method, options):
    """What to ask for instead, as it stands in the message and in the details."""
    if error.details.get("option") == "baseline":
        found = re.search(r": use ([a-z ]+)", error.message)[1].split(" or ")
        yield from ((method, {**options, "baseline": each}) for each in found)
        return
    layers, methods = error.details["layers"], error.details["methods"]
    assert layers or methods, error.message
    named = re.search(r"(?:Name another layer|Use another method): (.+)\.$", error.message)[1].split(" or ")
    assert named == (layers or methods)
    yield from ((method, {**options, "layer": layer}) for layer in layers)
    yield from ((other, {}) for other in methods)
