"""Interventions: what callers change inside a network, as options, and as edits of the taps of a model."""

from layerscope.interventions.options import MEAN, EditOptions, parse_edit
from layerscope.interventions.tap_edits import TapEdit, tap_edits
from layerscope.interventions.units import By, Units, channel_means, replaced

__all__ = [
    "MEAN",
    "By",
    "EditOptions",
    "TapEdit",
    "Units",
    "channel_means",
    "parse_edit",
    "replaced",
    "tap_edits",
]
