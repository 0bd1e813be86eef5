"""Local changes: versions of an image that differ in a box are computed near the box only in the first layers.

A convolution or pooling layer computes each unit from a few places. So behind the first layers a changed box of the image
is still a changed box of a feature map. Only that box and what its units read around it are computed again; all other
values are those of the unchanged image. Behind the last checkpoint, the whole map is computed.
Nakandala et al. 2019, Incremental and Approximate Inference for Faster Occlusion-based Deep CNN Explanations.
"""

from layerscope.graph.local.changes import LocalChanges
from layerscope.graph.local.paths import LocalPath, LocalPaths

__all__ = ["LocalChanges", "LocalPath", "LocalPaths"]
