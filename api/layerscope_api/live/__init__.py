"""Models that are in memory, such as those of a notebook: `show` serves them and opens the explorer."""

from layerscope_api.live.live_explorer import LiveExplorer
from layerscope_api.live.start import show

__all__ = ["LiveExplorer", "show"]
