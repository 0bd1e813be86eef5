"""The root of every error."""

from typing import ClassVar


class LayerscopeError(Exception):
    """The root: a message for a person, a `code` for a program, and `details` for both."""

    code: ClassVar[str]

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __eq__(self, other: object) -> bool:
        # Errors can be part of a plan or of a result, which are data: two are equal that say the same.
        if not isinstance(other, LayerscopeError) or type(other) is not type(self):
            return NotImplemented
        return (self.message, self.details) == (other.message, other.details)

    def __hash__(self) -> int:
        return hash((type(self), self.message))
