"""Murmur2, the hash of Kafka's default partitioner, for many keys at once."""

import struct
from collections.abc import Sequence

#: The constants of ``Utils.murmur2`` in Kafka's Java client.
_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C


def murmur2(keys: Sequence[bytes]) -> list[int]:
    """Return the unsigned hash of each key, in the order of ``keys``.

    Keys of equal length are hashed together, in a single Python integer.
    """
    lengths = set(map(len, keys))
    if len(lengths) == 1:  # job ids usually have the same length
        return _hash_equal_lengths(keys, *lengths)
    hashes: dict[bytes, int] = {}
    for length in lengths:
        group = [key for key in keys if len(key) == length]
        hashes |= zip(group, _hash_equal_lengths(group, length), strict=True)
    return [hashes[key] for key in keys]


def _hash_equal_lengths(keys: Sequence[bytes], length: int) -> list[int]:
    """Hash all keys in a single integer, which has 64 bits per key with the word in the lower half.

    The product of two words fits into 64 bits. The upper half is cleared after each product, and
    after each shift, which moves bits of the next key into it.
    """
    count = len(keys)
    text = b"".join(keys)
    mask = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * count, "little")

    def words(start: int) -> int:
        """The four bytes at ``start`` of each key, filled up with zeros."""
        slots = bytearray(8 * count)
        for index in range(start, min(start + 4, length)):
            slots[index - start :: 8] = text[index::length]
        return int.from_bytes(slots, "little")

    def times(value: int) -> int:
        return value * _MULTIPLIER & mask

    def mixed(value: int, shift: int) -> int:
        return (value ^ value >> shift) & mask

    value = int.from_bytes(struct.pack("<Q", _SEED ^ length) * count, "little")
    whole_words = length & ~3
    for start in range(0, whole_words, 4):
        value = times(value) ^ times(mixed(times(words(start)), 24))
    if whole_words < length:
        value = times(value ^ words(whole_words))
    value = mixed(times(mixed(value, 13)), 15)
    return list(struct.unpack(f"<{count}Q", value.to_bytes(8 * count, "little")))
