"""Perceptual hashes: PDQ of a picture, vPDQ of a video, and a bank of known ones.

PDQ: Facebook, "PDQ & TMK + PDQF" (2019): 256 bits of a picture's low frequencies; two pictures match where at most 31
bits differ. vPDQ: PDQ of one frame a second; two videos match where enough of their frames do. A bank's file is what
Hasher-Matcher-Actioner and ThreatExchange exchange: 64 hexadecimal digits a hash, in CSV or JSONL.
"""

from __future__ import annotations

import csv
import importlib.metadata
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import BadInput, BadRecord, MissingExtra

MATCH_BITS = 31
"""PDQ's own threshold."""
LOWEST_QUALITY = 50
"""PDQ's own: below it a picture has too little in it to be told from others."""
VIDEO_SHARE = 0.8
"""The share of the query's frames that must be found in one known video (vPDQ's own default)."""
PDQ_SIDE = 512
"""Pictures are made smaller before they are hashed, as PDQ's own tools do."""
BAR_SHARE = 0.5
"""A row or column of which so much has the border's grey is a bar (chosen: a caption's letters cover less)."""
BAR_TOLERANCE = 12
PLAIN_SHARE = 0.95
"""A row that is all of one grey, but for noise (chosen)."""
LARGEST_CUT_SHARE = 0.7
LARGEST_BAR_SHARE = 0.45
"""No more than this is cut from one side (chosen)."""


class PerceptualHash(NamedTuple):
    """256 bits as 64 hexadecimal digits, and PDQ's quality from 0 to 100. `region` is `whole` or `inside`."""

    hex: str
    quality: int
    region: str = "whole"


class Known(NamedTuple):
    """One entry of a bank: whose hash it is, and what the bank says of it."""

    id: str
    hex: str
    note: str = ""


class Match(NamedTuple):
    """A known picture or video that is the same: the bits that differ, and the share of frames found (1 of a picture)."""

    known: Known
    bits: int
    share: float


def hash_name() -> str:
    """The tool and its version, as observations name it."""
    try:
        return f"pdqhash {importlib.metadata.version('pdqhash')}"
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtra("Perceptual hashes", "media") from None


def pdq(pixels: NDArray[np.uint8]) -> PerceptualHash:
    """The PDQ hash of an RGB picture, [height, width, 3].

    Raises:
        MissingExtra: pdqhash is not installed.
    """
    try:
        import pdqhash
    except ImportError:
        raise MissingExtra("Perceptual hashes", "media") from None
    if max(pixels.shape[:2]) > PDQ_SIDE:
        from PIL import Image

        picture = Image.fromarray(pixels)
        picture.thumbnail((PDQ_SIDE, PDQ_SIDE))
        pixels = np.asarray(picture)
    bits, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return PerceptualHash(np.packbits(np.asarray(bits, dtype=np.uint8)).tobytes().hex(), int(quality))


def picture_hashes(pixels: NDArray[np.uint8]) -> tuple[PerceptualHash, ...]:
    """The hash of the whole picture, and of what is left without the bars that it may have: a copy with a caption above
    or below it still shows the same inside.

    A dark sky looks like a bar too, so each side is cut on its own as well as all together.
    """
    hashes = [pdq(pixels)]
    for inside in insides(pixels):
        hashed = pdq(inside)._replace(region="inside")
        if all(hashed.hex != other.hex for other in hashes):
            hashes.append(hashed)
    return tuple(hashes)


def insides(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The picture without plain bars at its sides, with or without letters in them, in each way that they may be cut."""
    height, width = pixels.shape[:2]
    grey = pixels.mean(axis=2)
    tops, bottoms = _bars(grey), _bars(grey[::-1])
    left, right = max(_bars(grey.T), default=0), max(_bars(grey.T[::-1]), default=0)
    cuts = {(top, 0, 0, 0) for top in tops} | {(0, bottom, 0, 0) for bottom in bottoms}
    if tops and bottoms:
        cuts.add((min(tops), min(bottoms), 0, 0))
    if left or right:
        cuts.add((0, 0, left, right))
    return [
        pixels[top : height - bottom, start : width - end]
        for top, bottom, start, end in sorted(cuts)
        if top + bottom <= LARGEST_CUT_SHARE * height and start + end <= LARGEST_CUT_SHARE * width
    ]


def _bars(grey: NDArray[np.float64]) -> list[int]:
    """How many rows from the first on may be a bar of the first rows' grey: up to where less than half of a row has
    that grey, and up to the last row that is all of it, with letters of any size before it."""
    colour = float(np.median(grey[:2]))
    plain = (np.abs(grey[: int(len(grey) * LARGEST_BAR_SHARE)] - colour) <= BAR_TOLERANCE).mean(axis=1)
    if plain.size == 0 or plain[0] < PLAIN_SHARE:
        return []
    strict = plain.size if bool((plain >= BAR_SHARE).all()) else int(np.argmin(plain >= BAR_SHARE))
    wide = int(np.flatnonzero(plain >= PLAIN_SHARE)[-1]) + 1
    return sorted({strict, wide} - {0})


def differing_bits(a: str, b: str) -> int:
    """How many of the 256 bits differ.

    >>> differing_bits("0" * 64, "f" + "0" * 63)
    4
    """
    return (int(a, 16) ^ int(b, 16)).bit_count()


class HashBank:
    """Known hashes, searched all at once."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.known = tuple(known)
        packed = b"".join(bytes.fromhex(entry.hex) for entry in self.known)
        self._bits = np.frombuffer(packed, dtype=np.uint8).reshape(-1, 32)

    def match_picture(self, hashes: Sequence[PerceptualHash]) -> tuple[Match, ...]:
        """Every known picture within 31 bits of one of the hashes, the nearest first, each once."""
        best: dict[str, Match] = {}
        for hashed in hashes:
            if hashed.quality < LOWEST_QUALITY or not self.known:
                continue
            for n, bits in self._near(hashed.hex):
                entry = self.known[n]
                if entry.id not in best or bits < best[entry.id].bits:
                    best[entry.id] = Match(entry, bits, 1.0)
        return tuple(sorted(best.values(), key=lambda match: (match.bits, match.known.id)))

    def match_video(self, hashes: Sequence[PerceptualHash], *, share: float = VIDEO_SHARE) -> tuple[Match, ...]:
        """Every known video in which at least `share` of the frames of good quality are found."""
        good = [hashed for hashed in hashes if hashed.quality >= LOWEST_QUALITY]
        found: dict[str, list[int]] = {}
        for hashed in good:
            nearest: dict[str, int] = {}
            for n, bits in self._near(hashed.hex):
                nearest[self.known[n].id] = min(bits, nearest.get(self.known[n].id, 256))
            for name, bits in nearest.items():
                found.setdefault(name, []).append(bits)
        first = {entry.id: entry for entry in reversed(self.known)}
        matches = [
            Match(first[name], min(bits), len(bits) / len(good))
            for name, bits in found.items()
            if len(bits) >= share * len(good)
        ]
        return tuple(sorted(matches, key=lambda match: (-match.share, match.bits, match.known.id)))

    def _near(self, hex: str) -> list[tuple[int, int]]:
        if not self.known:
            return []
        query = np.frombuffer(bytes.fromhex(hex), dtype=np.uint8)
        bits = np.bitwise_count(self._bits ^ query).sum(axis=1)
        return [(int(n), int(bits[n])) for n in np.flatnonzero(bits <= MATCH_BITS)]


def read_bank(path: Path) -> HashBank:
    """The bank in a CSV or JSONL file with the columns `hash` (or `pdq`), and `id` and `note` where it has them.

    A line with nothing but 64 hexadecimal digits will do, as ThreatExchange's plain lists have it.

    Raises:
        BadInput: the file is missing or holds no text.
        BadRecord: names the file, the line and the field.
    """
    known = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise BadInput(f"cannot read the bank of hashes {path}: {why}; give a CSV or JSONL file") from None
    plain = bool(lines) and _is_hash(lines[0].split(",")[0].strip())
    if path.suffix == ".jsonl":
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                rows.append((number, json.loads(line)))
            except json.JSONDecodeError:
                raise BadRecord(path, number, None, "it is not a JSON object.") from None
    elif plain:
        rows = [(n, dict(zip(("hash", "id", "note"), row, strict=False))) for n, row in enumerate(csv.reader(lines), 1)]
    else:
        rows = [(n, dict(row)) for n, row in enumerate(csv.DictReader(lines), 2)]
    for number, row in rows:
        digits = str(row.get("hash") or row.get("pdq") or "").strip().lower()
        if not _is_hash(digits):
            raise BadRecord(path, number, "hash", "a PDQ hash has 64 hexadecimal digits.")
        known.append(Known(str(row.get("id") or f"{path.name}:{number}"), digits, str(row.get("note") or "")))
    return HashBank(known)


def _is_hash(digits: str) -> bool:
    return len(digits) == 64 and all(digit in "0123456789abcdef" for digit in digits.lower())
