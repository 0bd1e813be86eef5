"""Accept a model file from a stranger: find out that it is data, and write a fresh file of it.

    file ──▶ checking ── limited process ──▶ worker: archive, config, classes, wiring, weights, shapes ──▶ fresh file, Report

Nothing here imports Keras or TensorFlow: a file that is refused was never shown to them.
"""

from layerscope.models.validation.checking import check, validate
from layerscope.models.validation.kinds import suffix_of
from layerscope.models.validation.report import InputReport, Report

__all__ = ["InputReport", "Report", "check", "suffix_of", "validate"]
