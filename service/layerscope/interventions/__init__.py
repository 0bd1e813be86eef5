"""Interventions: what callers change inside a network, as options, and as edits of the taps of a model."""

from layerscope.interventions.options import EditOptions, parse_edit
from layerscope.interventions.tap_edits import TapEdit, tap_edits

__all__ = ["EditOptions", "TapEdit", "parse_edit", "tap_edits"]
