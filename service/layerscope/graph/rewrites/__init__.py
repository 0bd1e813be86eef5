"""Graph rewrites: other operations that compute the same values.

`REWRITES` make plans faster. Each is checked on every model when it is loaded, and the setting `graph_rewrites` turns
them off. The other modules are not optional and no part of `REWRITES`: `no_sum_fusion` keeps TensorFlow from a fusion
that computes wrong values when a plan runs in several threads, `bounded_sizes` checks sizes that are numbers in the input,
`guided_relu` serves gradients.
"""

from collections.abc import Callable
from typing import Any

from layerscope.graph.rewrites.context import RewriteContext
from layerscope.graph.rewrites.fuse_conv_bn import fuse_conv_bn

Rewrite = Callable[[Any, RewriteContext], Any]
"""Makes a GraphDef of a GraphDef, which it may change."""

REWRITES: tuple[Rewrite, ...] = (fuse_conv_bn,)
"""All rewrites that make plans faster, in the order in which they are applied."""

__all__ = ["REWRITES", "Rewrite", "RewriteContext"]
