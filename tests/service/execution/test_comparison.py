"""Comparisons of two models name the layer in which a change begins, and nothing else."""

import math

import numpy as np
import pytest
from compared_models import ARCHITECTURES, Compared, built, chain, pictures
from keras.layers import MultiHeadAttention

from layerscope.comparison import Tolerance
from layerscope.errors import AnswerTooLarge, DeadlineExceeded, LayerNotFound, OptionInvalid
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.inputs import TensorSource
from layerscope.execution.working_memory import WorkingMemory
from layerscope.interventions import parse_edit
from layerscope.limits import Limits

PATCH = {"image": [TensorSource(pictures(1, seed=9))]}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request):
    compared = Compared(built(ARCHITECTURES[request.param]))
    yield compared
    compared.close()


@pytest.fixture(scope="module")
def simple():
    compared = Compared(built(chain))
    yield compared
    compared.close()


@pytest.fixture(scope="module")
def reference(simple):
    return simple.version("reference")


def changed(network, layer, factor=1e-3, name="changed"):
    """A version in which the weights of one layer were perturbed."""
    kept = layer.get_weights()
    rng = np.random.default_rng(1)
    layer.set_weights([weight * (1 + factor * rng.uniform(0.5, 1, weight.shape)) for weight in kept])
    try:
        return network.version(name)
    finally:
        layer.set_weights(kept)


def weighted(model):
    """Every layer with weights of its own, however deep, with its path."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from ((f"{layer.name}/{path}", each) for path, each in weighted(layer))
        elif isinstance(layer, MultiHeadAttention):
            inside = (layer.query_dense, layer.key_dense, layer.value_dense, layer.output_dense)
            yield from ((f"{layer.name}/{each.name}", each) for each in inside)
        elif layer.weights:
            yield layer.name, layer


def test_exactly_the_layer_that_changed_is_the_origin(network) -> None:
    """In each architecture, for each layer, perturbed by a thousandth."""
    reference = network.version("reference")
    for path, layer in weighted(network.model):
        found = network.compare(reference, changed(network, layer), images=2, measures=["relative_l2"])
        assert found.origins == (path,)
        before = [each.relative_l2 for each in found.layers if each.status == "same"]
        assert before
        assert before == [0.0] * len(before)


def test_equal_models_have_no_origin_in_any_size_of_batch(network) -> None:
    one, other = network.version("one"), network.version("other", exact=False)
    found = network.compare(one, other, images=5)
    assert found.origins == ()
    assert found.verdict in {"same", "rounding"}
    assert {each.status for each in found.layers} <= {"same", "rounding"}
    assert all(each.cka is None or each.cka.value == pytest.approx(1) for each in found.layers)
    alone = network.compare(one, other, images=1)
    assert alone.origins == ()


def test_figures_are_those_of_the_values(simple, reference) -> None:
    candidate = changed(simple, simple.model.get_layer("norm"), 0.1)
    values = pictures(6)
    found = simple.compare(
        reference,
        candidate,
        values=values,
        measures=["relative_l2", "max", "cosine", "cka", "rsa", "sqnr_db"],
    )

    taps = reference.description.taps.select(["relu"])
    one, other = (
        np.concatenate([model.executable.run([each[None]], taps)[0] for each in values]).astype(np.float64)
        for model in (reference, candidate)
    )
    (layer,) = [each for each in found.layers if each.reference == "relu"]
    assert layer.relative_l2 == pytest.approx(np.linalg.norm(other - one) / np.linalg.norm(one), rel=1e-5)
    assert layer.largest == pytest.approx(np.abs(other - one).max(), rel=1e-4)
    assert layer.sqnr_db == pytest.approx(-20 * math.log10(layer.relative_l2))
    assert layer.status == "drifted"
    assert 0.9 < layer.cka.value <= 1
    assert layer.cka.deviation > 0
    assert layer.rsa > 0.8
    assert layer.silent == (0, 0)
    assert (found.first, found.origins, found.verdict) == ("norm", ("norm",), "drifted")
    assert [each.relative_l2 for each in found.worst_images] == sorted(
        (each.relative_l2 for each in found.worst_images), reverse=True
    )
    assert found.noise_floor < 1e-6


def test_a_change_within_the_tolerance_has_an_origin_but_no_drift(simple, reference) -> None:
    candidate = changed(simple, simple.model.get_layer("depthwise"))
    found = simple.compare(reference, candidate)
    assert (found.verdict, found.first, found.origins) == ("within", None, ("depthwise",))
    strict = simple.compare(reference, candidate, tolerance=Tolerance(outputs=1e-5))
    assert (strict.verdict, strict.first) == ("drifted", "scores")


def test_predictions_that_flip_are_named(simple, reference) -> None:
    scores = simple.model.get_layer("scores")
    kept = scores.get_weights()
    scores.set_weights([kept[0][:, ::-1], kept[1][::-1]])
    candidate = simple.version("flipped")
    scores.set_weights(kept)
    found = simple.compare(reference, candidate, tolerance=Tolerance(relative_l2=1e9, agreement=0.99))
    (agreement,) = found.agreement
    assert agreement.argmax == 0
    assert agreement.top5 == 1
    assert len(agreement.flips) == 4
    assert agreement.flips[0].candidate == 4 - agreement.flips[0].reference
    assert found.verdict == "drifted"


def test_layers_of_other_shapes_and_without_partner_drifted(simple, reference) -> None:
    other = Compared(built(lambda: chain(filters=6, pool="mean")))
    found = simple.compare(reference, other.version("wider"))
    by_name = {each.reference: each for each in found.layers}
    assert by_name["conv1"].reason == "8x8x4 became 8x8x6"
    assert (by_name["conv1"].relative_l2, by_name["conv1"].status) == (None, "drifted")
    assert by_name["conv1"].cka is not None
    assert (found.only_reference, found.only_candidate) == (("pool",), ("mean",))
    assert found.verdict == "drifted"

    renamed = simple.compare(reference, other.version("wider"), match="rules", rules=["pool=mean"])
    assert renamed.only_reference == ()
    best = simple.compare(reference, other.version("wider"), match="best", images=20)
    pairs = {each.reference: each.candidate for each in best.layers}
    assert pairs["conv1"] == "conv1"
    assert best.verdict is None
    matrix = simple.compare(reference, reference, match="matrix", images=20, layers=["conv1", "scores"])
    assert np.diag(matrix.matrix) == pytest.approx([1, 1])
    assert matrix.rows == matrix.columns == ("conv1", "scores")
    other.close()


def test_nan_in_one_model_is_drift_and_no_figure_is_nan(simple, reference) -> None:
    conv = simple.model.get_layer("conv1")
    kept = conv.get_weights()
    kernel = kept[0].copy()
    kernel[..., 0] = np.nan
    conv.set_weights([kernel, kept[1]])
    candidate = simple.version("nan")
    conv.set_weights(kept)
    found = simple.compare(reference, candidate)
    (layer,) = [each for each in found.layers if each.reference == "conv1"]
    assert (layer.status, layer.reason) == ("drifted", "NaN or infinite values in other places")
    assert layer.cka is None
    for each in found.layers:
        for figure in (each.relative_l2, each.cosine, each.largest):
            assert figure is None or not math.isnan(figure)


def test_progress_counts_images_and_a_cancelled_comparison_ends(simple, reference) -> None:
    seen = []
    simple.compare(reference, reference, images=3, run={"progress": lambda *each: seen.append(each)})
    assert seen == [(1, 3), (2, 3), (3, 3)]
    token = CancellationToken()
    token.cancel()
    with pytest.raises(DeadlineExceeded):
        simple.compare(reference, reference, run={"cancellation": token})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"limits": Limits(attribution_milliseconds=0)}, DeadlineExceeded),
        ({"limits": Limits(run_bytes=1000)}, AnswerTooLarge),
        (
            {"edits": [parse_edit("relu;patch=other")], "patches": {"other": PATCH}, "timeout": 0.0},
            DeadlineExceeded,
        ),
    ],
)
def test_one_that_may_not_go_on_ends_and_gives_its_memory_back(simple, reference, options, error) -> None:
    memory = WorkingMemory.of(Limits())
    with pytest.raises(error):
        simple.compare(reference, reference, memory=memory, **options)
    assert memory.taken == 0


def test_what_is_wrong_with_it_is_said_before_anything_runs(simple, reference) -> None:
    with pytest.raises(LayerNotFound, match="selects no layer"):
        simple.compare(reference, reference, layers=["conv9"])
    with pytest.raises(OptionInvalid, match="no rule"):
        simple.compare(reference, reference, match="rules", rules=["conv1"])
    with pytest.raises(AnswerTooLarge, match="takes"):
        simple.compare(reference, reference, limits=Limits(working_bytes=1000))
    with pytest.raises(AnswerTooLarge, match="pairs of layers"):
        simple.compare(reference, reference, match="matrix", limits=Limits(json_elements=10))


def test_few_images_are_warned_of(simple, reference) -> None:
    assert "at least 4 images" in simple.compare(reference, reference, images=2).warnings[-1]
    assert "CKA of 5 images says little" in simple.compare(reference, reference, images=5).warnings[-1]
