"""Pair two columns of ids, exactly, in about the time it takes to read them.

A hash table of a million texts misses the cache at every look-up. Instead each id becomes one 64-bit number: the upper
bits of its hash, and in the lower bits the number of its row. Sorting these numbers brings equal ids together; the
texts of every pair are then compared, and the few rows that are not one clean pair (repeated ids, ids whose hashes
agree by chance) are settled by their texts. So the result never depends on the hash.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Rows = NDArray[np.int64]
_BLOCK = 16_384  # rows hashed at a time: their texts and hashes stay in the cache
_SHARE = 100_000  # rows that are worth a thread of their own
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, with about as many ones as zeros


class Matches(NamedTuple):
    """Rows that hold an id which both columns hold exactly once, in the order of the old column, and all other ids.

    The counts are of ids. One that is repeated in a column is a duplicate there and counted nowhere else.
    """

    old_rows: Rows
    new_rows: Rows
    only_old: int
    only_new: int
    duplicate_old: int
    duplicate_new: int


def match_ids(old: pa.Array, new: pa.Array) -> Matches:
    """Pair the rows of two columns of ids.

    Args:
        old: ids of the old table, `large_string` without gaps.
        new: ids of the new table.
    """
    n, m = len(old), len(new)
    if n == m and old.equals(new):  # two runs over one dataset keep its order
        hashes = np.sort(hash_texts(old))
        if not (hashes[1:] == hashes[:-1]).any():
            rows = np.arange(n)
            return Matches(rows, rows, 0, 0, 0, 0)
    row_bits = np.uint64((1 << max(1, (n + m - 1).bit_length())) - 1)
    keys = np.concatenate([hash_texts(old), hash_texts(new)])
    keys &= ~row_bits
    keys |= np.arange(n + m, dtype=np.uint64)
    keys.sort()
    alike = np.zeros(n + m + 1, dtype=np.bool_)  # whether a key has the hash of the one before it
    np.less_equal(keys[1:] ^ keys[:-1], row_bits, out=alike[1:-1])
    rows = (keys & row_bits).view(np.int64)

    second = alike[1:-1] & ~alike[:-2] & ~alike[2:]  # ends a run of exactly two
    at = np.flatnonzero(second)
    first, last = rows[at], rows[at + 1] - n
    across = (first < n) & (last >= 0)  # rows of the old column sort before those of the new one
    partner = np.full(n, -1, dtype=np.int64)
    partner[first[across]] = last[across]
    old_rows = np.flatnonzero(partner >= 0)
    new_rows = partner[old_rows]
    equal = pc.equal(pick(old, old_rows), pick(new, new_rows))
    clean = None if pc.all(equal, min_count=0).as_py() else equal.to_numpy(zero_copy_only=False)

    alone = ~(alike[:-1] | alike[1:])
    only = rows[alone]
    only_old = int(np.count_nonzero(only < n))
    counts = np.array([only_old, len(only) - only_old, 0, 0])
    unclear = ~alone
    unclear[at[across]] = unclear[at[across] + 1] = False
    rest = rows[unclear]
    if clean is not None:
        rest = np.concatenate([rest, old_rows[~clean], new_rows[~clean] + n])
        old_rows, new_rows = old_rows[clean], new_rows[clean]
    if len(rest):
        more_old, more_new, more = _match_by_text(old, new, rest[rest < n], rest[rest >= n] - n)
        counts += more
        old_rows = np.concatenate([old_rows, more_old])
        order = np.argsort(old_rows)
        old_rows, new_rows = old_rows[order], np.concatenate([new_rows, more_new])[order]
    return Matches(old_rows, new_rows, *(int(count) for count in counts))


def pick(array: pa.Array, rows: Rows) -> pa.Array:
    """Take rows of an array; the array itself where they are all of its rows, in order."""
    if is_all(rows, len(array)):
        return array
    shares = min(pa.cpu_count(), len(rows) // _SHARE)
    if shares < 2:
        return array.take(pa.array(rows))
    # Rows in no order miss the cache one by one, and Arrow takes them in one thread: nearly half of a comparison.
    with ThreadPoolExecutor(shares) as threads:
        return pa.concat_arrays(list(threads.map(array.take, map(pa.array, np.array_split(rows, shares)))))


def is_all(rows: Rows, length: int) -> bool:
    """Whether these are all rows of a table of this length, in order."""
    if len(rows) != length:
        return False
    return not length or bool(rows[0] == 0 and rows[-1] == length - 1 and (np.diff(rows) == 1).all())


def _match_by_text(old: pa.Array, new: pa.Array, old_rows: Rows, new_rows: Rows) -> tuple[Rows, Rows, NDArray]:
    """Pairs among some rows, and the four counts, by numbering their distinct texts."""
    texts = pa.concat_arrays([old.take(pa.array(old_rows)), new.take(pa.array(new_rows))])
    encoded = pc.dictionary_encode(texts)
    old_codes, new_codes = np.split(encoded.indices.to_numpy(), [len(old_rows)])
    distinct = len(encoded.dictionary)
    old_times = np.bincount(old_codes, minlength=distinct)
    new_times = np.bincount(new_codes, minlength=distinct)
    place = np.zeros(distinct, dtype=np.int64)
    place[new_codes] = np.arange(len(new_codes))
    paired = np.flatnonzero(((old_times == 1) & (new_times == 1))[old_codes])
    counts = np.array(
        [
            np.count_nonzero((old_times == 1) & (new_times == 0)),
            np.count_nonzero((old_times == 0) & (new_times == 1)),
            np.count_nonzero(old_times > 1),
            np.count_nonzero(new_times > 1),
        ]
    )
    return old_rows[paired], new_rows[place[old_codes[paired]]], counts


def hash_texts(texts: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each text.

    Equal texts have equal hashes; nothing relies on different texts having different ones.

    Args:
        texts: `large_string` without gaps.
    """
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)
    hashes = np.empty(len(texts), dtype=np.uint64)
    for start in range(0, len(texts), _BLOCK):
        ends = offsets[start : start + _BLOCK + 1]
        hashes[start : start + _BLOCK] = _hash_block(data[ends[0] : ends[-1]], ends - ends[0])
    return hashes


def _hash_block(data: NDArray[np.uint8], offsets: Rows) -> NDArray[np.uint64]:
    starts, lengths = offsets[:-1], np.diff(offsets)
    hashes = lengths.astype(np.uint64) * _FACTOR
    longest = int(lengths.max())
    if longest and longest == int(lengths.min()):  # one matrix of bytes, eight columns to a word
        texts, whole = data.reshape(len(starts), longest), longest // 8 * 8
        words = np.zeros((len(starts), -(-longest // 8) * 8), dtype=np.uint8)
        words[:, :whole] = texts[:, :whole]
        if whole < longest:
            words[:, whole - longest :] = texts[:, whole:]  # at the upper end, as below
        for word in words.view("<u8").T:
            _stir(hashes, word)
    else:
        padded = np.zeros(len(data) + 8, dtype=np.uint8)
        padded[: len(data)] = data
        # A word may begin at any byte.
        at = np.ndarray((len(data) + 1,), dtype="<u8", buffer=padded, strides=(1,))
        live = np.flatnonzero(lengths)
        for begin in range(0, longest, 8):
            left = lengths[live] - begin
            live, left = live[left > 0], left[left > 0]
            # Bytes beyond the end of a text are shifted out; its own move to the upper end of the word.
            beyond = 8 * (8 - np.minimum(left, 8))
            part = hashes[live]
            _stir(part, at[starts[live] + begin] << beyond.astype(np.uint64))
            hashes[live] = part
    return hashes


def _stir(hashes: NDArray[np.uint64], word: NDArray[np.uint64]) -> None:
    """Mix a word in: a product carries its low bytes upwards, and after the swap its high bytes too."""
    hashes ^= word
    hashes *= _FACTOR
    hashes.byteswap(inplace=True)
    hashes *= _FACTOR
