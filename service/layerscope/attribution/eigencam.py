"""EigenCAM: feature maps, projected on the direction in which they are largest. It needs no class and no gradient.

    A   = U S V'      the singular value decomposition of a layer's maps, places x channels
    map = A V[:, 0]

Muhammad & Yeasin 2020, Eigen-CAM: Class Activation Map using Principal Components. The sign of V is free: it is chosen
so that the map's sum is not negative. A map that holds NaN has no such direction, and is NaN all over.
"""

import numpy as np
from pydantic import Field

from layerscope.attribution.method import Array, Method, MethodOptions
from layerscope.attribution.model_probe import ModelProbe


class _Options(MethodOptions):
    layer: str | None = Field(
        default=None,
        max_length=1_000,
        description="a selector of exactly one layer that is a map over the image; left out, the last one",
    )


def _explain(probe: ModelProbe, options: _Options) -> Array:  # noqa: ARG001
    return np.stack([_projected(maps) for maps in probe.activations()])


def _projected(maps: Array) -> Array:
    *places, channels = maps.shape
    rows = maps.reshape(-1, channels).astype(np.float64)
    if not np.isfinite(rows).all():
        return np.full(places, np.nan)
    # The first singular vector, by the smaller of the two matrices of products.
    if channels <= len(rows):
        projection = rows @ np.linalg.eigh(rows.T @ rows)[1][:, -1]
    else:
        strengths, vectors = np.linalg.eigh(rows @ rows.T)
        projection = vectors[:, -1] * np.sqrt(max(strengths[-1], 0))
    return np.reshape(-projection if projection.sum() < 0 else projection, places)


EIGENCAM = Method(
    name="eigencam",
    title="EigenCAM",
    kind="layer",
    is_signed=True,
    has_target=False,
    cost="one run up to the layer",
    paper="Muhammad & Yeasin 2020, Eigen-CAM: Class Activation Map using Principal Components,"
    " https://arxiv.org/abs/2008.00299",
    options=_Options,
    explain=_explain,
    is_gradient=False,
)
