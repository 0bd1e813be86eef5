"""Versions of an image that differ in a box: what lies near the input is computed there only, not all over the image.

A convolution or pooling layer computes each unit from a few places. So behind the first layers a change of an image is
still a box of a feature map, and only that box, with what surrounds it, has to be run anew; the rest is as it was.
Nakandala et al. 2019, Incremental and Approximate Inference for Faster Occlusion-based Deep CNN Explanations.
"""

from layerscope.graph.local.changes import LocalChanges
from layerscope.graph.local.paths import LocalPath, LocalPaths

__all__ = ["LocalChanges", "LocalPath", "LocalPaths"]
