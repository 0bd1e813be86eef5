"""The control of models: what decides which of them are in memory."""

from dataclasses import dataclass
from typing import Literal

from layerscope.errors import ControlRefused
from layerscope.models.directory import ModelSource

Mode = Literal["none", "explicit", "poll"]

EVERY = "*"
"""Names every model of the directory, among those to load at the start."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """What decides which models are in memory.

    Attributes:
        mode: `none`: all models of the directory are loaded at the start, and none later. `explicit`: those that callers
            load. `poll`: all, as the directory is now, but for those that callers unloaded.
        start: with `explicit`, what is loaded at the start: names, `name@version`, or `*`.
        seconds: with `poll`, the time from one look at the directory to the next.
        uploads: whether models may be uploaded, and removed again, in every mode.
    """

    mode: Mode = "none"
    start: tuple[str, ...] = ()
    seconds: float = 5.0
    uploads: bool = False

    def require_orders(self) -> None:
        """Check that callers may say which models are in memory.

        Raises:
            ControlRefused: the mode is `none`, or it is `poll` and models may not be uploaded.
        """
        if self.mode == "none" or (self.follows_directory and not self.uploads):
            raise ControlRefused(
                f"The service was started with control={self.mode}, and takes no orders about its models: start it"
                " with --control explicit, or with --control poll and --allow-upload.",
                control=self.mode,
            )

    def require_labels(self) -> None:
        """Check that callers may assign labels.

        Raises:
            ControlRefused: the mode is not `explicit`, and models may not be uploaded.
        """
        if not self.uploads:
            self.require_orders()

    @property
    def follows_directory(self) -> bool:
        """Whether the models are always those in the directory, as its ledgers say."""
        return self.mode == "poll"

    @property
    def is_changing(self) -> bool:
        """Whether models are loaded after the start."""
        return self.mode != "none" or self.uploads

    def starts(self, source: ModelSource) -> bool:
        """Whether a version is loaded at the start."""
        names = {EVERY, source.name, f"{source.name}@{source.version}"}
        return self.mode != "explicit" or not names.isdisjoint(self.start)
