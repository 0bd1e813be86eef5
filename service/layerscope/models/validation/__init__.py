"""Validation of an untrusted model file: it must be data, and not code; a fresh file is written from the checked parts.

    file ──▶ checking ── limited process ──▶ worker: archive, config, classes, wiring, weights, shapes ──▶ fresh file, Report

Nothing here imports Keras or TensorFlow, so a refused file was never read by them. The fresh file has the checked parts only:
whatever else the uploaded file holds, such as bytes between the members of an archive, is not stored or opened.
"""

from layerscope.models.validation.checking import check, validate
from layerscope.models.validation.kinds import suffix_of
from layerscope.models.validation.report import InputReport, Report

__all__ = ["InputReport", "Report", "check", "suffix_of", "validate"]
