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
            load. `poll`: all, as the directory is now.
        start: with `explicit`, what is loaded at the start: names, `name@version`, or `*`.
        seconds: with `poll`, the time from one look at the directory to the next.
        uploads: whether models may be uploaded, and removed again, in every mode.
    """

    mode: Mode = "none"
    start: tuple[str, ...] = ()
    seconds: float = 5.0
    uploads: bool = False

    def require_explicit(self) -> None:
        """Check that callers may say which models are in memory.

        Raises:
            ControlRefused: the mode is not `explicit`.
        """
        if self.mode != "explicit":
            raise ControlRefused(
                f"The service was started with control={self.mode}, and takes no orders about its models: start it"
                " with --control explicit.",
                control=self.mode,
            )

    def require_labels(self) -> None:
        """Check that callers may assign labels.

        Raises:
            ControlRefused: the mode is not `explicit`, and models may not be uploaded.
        """
        if not self.uploads:
            self.require_explicit()

    @property
    def is_changing(self) -> bool:
        """Whether models are loaded after the start."""
        return self.mode != "none" or self.uploads

    def starts(self, source: ModelSource) -> bool:
        """Whether a version is loaded at the start."""
        names = {EVERY, source.name, f"{source.name}@{source.version}"}
        return self.mode != "explicit" or not names.isdisjoint(self.start)
