"""The root of every error."""

from typing import ClassVar


class LayerscopeError(Exception):
    """The root: a message for a person, a `code` for a program, and `details` for both."""

    code: ClassVar[str]

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
