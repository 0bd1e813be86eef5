"""Do maps tell the truth? Each class lies on its own half of a picture of two digits, and learning shows in the map."""

import keras
import numpy as np
import pytest
from explained_models import Explained
from keras import layers, ops

from layerscope.attribution import METHODS
from layerscope.execution.local_engine import LocalEngine

EXPLAINING = [name for name, method in METHODS.items() if method.has_target]
PICTURES = 16


@pytest.fixture(scope="module")
def digits():
    data = np.load("tests/data/held_out_digits.npz")
    return data["images"].astype(np.float32) / 255, data["labels"]


def two_digits(digits, part, count, seed):
    """Pictures of two different digits side by side, and which they are."""
    images, labels = digits
    chosen = np.random.default_rng(seed).choice(np.flatnonzero(part), (2, count))
    first, second = chosen[:, labels[chosen[0]] != labels[chosen[1]]]
    pictures = np.concatenate([images[first], images[second]], axis=2)[..., np.newaxis]
    return pictures, np.stack([labels[first], labels[second]], axis=1)


@pytest.fixture(scope="module")
def pairs(digits, tmp_path_factory):
    """A model that finds digits wherever they are, the same with random weights, and pictures it has never seen."""
    keras.utils.set_random_seed(0)
    unseen = np.arange(len(digits[1])) % 5 == 0
    steps = [
        keras.Input((None, None, 1)),
        layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(64, 3, padding="same", activation="relu", name="last"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(10, activation="sigmoid"),
    ]
    model = keras.Sequential(steps)
    directory = tmp_path_factory.mktemp("pairs")
    for name in ("random", "trained", "exclusive"):
        if name == "trained":
            train(model, two_digits(digits, ~unseen, 6_000, seed=1), rate=4e-3, batch_size=64, epochs=4)
        if name == "exclusive":
            # The same scores, of which one class only can be true.
            model = keras.Model(model.inputs, layers.Softmax()(_logits(model)))
        (directory / name / "1").mkdir(parents=True)
        model.save(directory / name / "1" / "model.keras")
    yield from explained(directory, model, two_digits(digits, unseen, 100, seed=2), known_at_least=0.6)


def explained(directory, model, unseen_pictures, *, known_at_least):
    """An engine over models, with pictures of which one of them finds both digits."""
    pictures, found = unseen_pictures
    likeliest = np.argsort(-model.predict(pictures, verbose=0))[:, :2]
    known = (np.sort(likeliest) == np.sort(found)).all(axis=1)
    assert known.mean() > known_at_least
    engine = LocalEngine(directory)
    engine.load_all()
    yield Explained(engine, {}), pictures[known][:PICTURES], found[known][:PICTURES]
    engine.close()


def train(model, pictures_and_digits, *, rate, **options):
    """Teach a model to say which digits a picture has."""
    pictures, found = pictures_and_digits
    wanted = np.zeros((len(found), 10), np.float32)
    np.put_along_axis(wanted, found, 1, axis=1)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
    model.fit(pictures, wanted, verbose=0, **options)


def _logits(model):
    """The values before the sigmoid of the last layer."""
    values, last = model.layers[-2].output, model.layers[-1]
    plain = layers.Dense(10, name="logits")
    plain.build(values.shape)
    plain.set_weights(last.get_weights())
    return plain(values)


def maps_of(pairs, model, method, side, **options):
    """What speaks for the digit on one side, for each picture."""
    explain, pictures, found = pairs
    maps = [
        explain(model, method, picture[np.newaxis], target=str(digit), **options).maps[0]
        for picture, digit in zip(pictures, found[:, side], strict=True)
    ]
    return np.maximum(maps, 0)


def part_on_the_left(maps):
    half = maps.shape[2] // 2
    return maps[:, :, :half].sum((1, 2)) / np.maximum(maps.sum((1, 2)), 1e-12)


@pytest.mark.parametrize("method", EXPLAINING)
def test_the_map_of_each_digit_lies_on_its_own_half(pairs, method):
    of_left, of_right = (part_on_the_left(maps_of(pairs, "trained", method, side)) for side in (0, 1))
    assert (of_left > of_right).mean() >= 0.9
    # Score-CAM weighs all channels by a softmax over scores that are close together, and tells least.
    assert np.mean([of_left, 1 - of_right]) > (0.53 if method == "scorecam" else 0.58)


@pytest.fixture(scope="module")
def transformer_pairs(digits, tmp_path_factory):
    """A vision transformer of one block, trained for half a minute, that reads its class token alone."""
    keras.utils.set_random_seed(0)
    unseen = np.arange(len(digits[1])) % 5 == 0
    rows, columns, width = 4, 8, 48
    image = keras.Input((28, 56, 1), name="picture")
    patches = layers.Conv2D(width, 7, 7, name="patches")(image)
    tokens = ops.pad(layers.Reshape((-1, width), name="tokens")(patches), [[0, 0], [1, 0], [0, 0]])
    places = layers.Embedding(1 + rows * columns, width, name="places")(ops.arange(1 + rows * columns))
    tokens = layers.Add(name="placed")([tokens, ops.expand_dims(places, 0)])
    normal = layers.LayerNormalization(name="normal")(tokens)
    tokens = layers.Add(name="mixed")(
        [tokens, layers.MultiHeadAttention(4, 12, name="attention")(normal, normal)]
    )
    hidden = layers.Dense(2 * width, activation="gelu", name="wide")(
        layers.LayerNormalization(name="before")(tokens)
    )
    tokens = layers.LayerNormalization(name="last")(tokens + layers.Dense(width, name="narrow")(hidden))
    model = keras.Model(image, layers.Dense(10, activation="sigmoid", name="kind")(tokens[:, 0]))
    train(model, two_digits(digits, ~unseen, 20_000, seed=1), rate=3e-3, batch_size=128, epochs=8)
    directory = tmp_path_factory.mktemp("transformer_pairs")
    (directory / "trained" / "1").mkdir(parents=True)
    model.save(directory / "trained" / "1" / "model.keras")
    yield from explained(directory, model, two_digits(digits, unseen, 200, seed=2), known_at_least=0.45)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("method", "right", "share"), [("gradcam", 0.7, 0.55), ("hirescam", 0.9, 0.65), ("layercam", 0.9, 0.65)]
)
def test_the_map_of_a_transformer_lies_on_the_half_of_its_digit(transformer_pairs, method, right, share):
    """Grad-CAM weighs all places of a channel alike, and tells least where each token has a meaning of its own."""
    of_left, of_right = (
        part_on_the_left(maps_of(transformer_pairs, "trained", method, side)) for side in (0, 1)
    )
    assert (of_left > of_right).mean() >= right
    assert np.mean([of_left, 1 - of_right]) > share


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam"])
def test_log_probabilities_tell_two_digits_apart_better_than_logits(pairs, method):
    """What speaks for the other digit speaks against this one."""

    def on_own_half(score):
        of_left, of_right = (
            part_on_the_left(maps_of(pairs, "exclusive", method, side, score=score)) for side in (0, 1)
        )
        return np.mean([of_left, 1 - of_right])

    assert on_own_half("log_probability") > on_own_half("logit")


def correlation(first, second):
    """Spearman's, of each map with its other, where either says something: a digit's empty ground is zero in both."""
    found = []
    for one, other in zip(first, second, strict=True):
        told = (one != 0) | (other != 0)
        ranks = [each[told].argsort().argsort() for each in (one, other)]
        found.append(np.corrcoef(*ranks)[0, 1])
    return np.array(found)


@pytest.mark.parametrize("method", EXPLAINING)
def test_what_a_model_has_learnt_shows_in_its_maps(pairs, method):
    """The sanity check of Adebayo et al. 2018: maps of a model whose weights are random are others."""
    trained, random = (maps_of(pairs, model, method, 0) for model in ("trained", "random"))
    assert np.median(correlation(trained, random)) < 0.7
