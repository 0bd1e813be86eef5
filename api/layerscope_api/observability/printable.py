"""Texts for a terminal or a log: names and reasons come from untrusted files, and may hold anything."""

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """A text with a question mark for each control character, such as those that move the cursor, and each half of a pair."""
    return _CONTROLS.sub("?", text)
