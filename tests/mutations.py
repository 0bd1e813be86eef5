"""Damage to good files, the same for the same seed."""

import random
from collections.abc import Iterator

_EXTREMES = (
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x00",
)


def mutations(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """So many damaged copies of a file: one to six of its places are changed, cut out, repeated or filled in."""
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            _damage(damaged, chance)
        yield bytes(damaged)


def _damage(data: bytearray, chance: random.Random) -> None:
    # Headers stand at the beginning: half of the damage does, too.
    reach = len(data) if chance.random() < 0.5 else min(len(data), 200)
    at = chance.randrange(reach) if reach else 0
    length = chance.choice((1, 2, 4, 16, 64))
    match chance.randrange(6):
        case 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        case 1:
            data[at : at + 1] = bytes([(data[at] if data else 0) ^ 1 << chance.randrange(8)])
        case 2:
            extreme = chance.choice(_EXTREMES)
            data[at : at + len(extreme)] = extreme
        case 3:
            del data[at : at + length]
        case 4:
            data[at:at] = data[at : at + length] * chance.choice((1, 2, 100))
        case _:
            data[at:at] = chance.randbytes(length)
