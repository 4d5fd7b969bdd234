"""What a published layout is, and what reading one gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from folkmoot.formats.fields import shown
from folkmoot.records import BadRecord, Opinion, Post


@dataclass(frozen=True)
class Imported:
    """What a published data set's files hold.

    `splits` maps a split's name to its posts; one post may stand in several (a known set within training).
    `opinions` maps the label that the agents were shown as the classifier's to the opinions of each post id; empty
    where the set has none. `notes` are sentences on what was left out and why.
    """

    task: str
    splits: dict[str, list[Post]]
    opinions: dict[str, dict[str, tuple[Opinion, ...]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def posts(self) -> list[Post]:
        """Every post once, in the order of the splits."""
        return once(post for split in self.splits.values() for post in split)[0]


@dataclass(frozen=True)
class Layout:
    """A published layout. `accepts` says in a sentence which path to give; `options` name what `read` takes besides."""

    name: str
    title: str
    task: str
    accepts: str
    read: Callable[..., Imported]
    options: tuple[str, ...] = ()


def gold(value: object, names: tuple[str, str], *, path: Path, line: int, field: str) -> str | None:
    """The label that a 0 or a 1 of the file stands for, None where the cell is empty."""
    if value is None or value == "":
        return None
    text = str(value).strip()
    if isinstance(value, bool) or text not in ("0", "1"):
        raise BadRecord(path, line, field, f"0 or 1 is accepted; {shown(text)} arrived.")
    return names[int(text)]


def once(posts: Iterable[Post]) -> tuple[list[Post], int]:
    """The posts with the first of each id kept, and how many were left out."""
    kept: dict[str, Post] = {}
    count = 0
    for post in posts:
        count += 1
        kept.setdefault(post.id, post)
    return list(kept.values()), count - len(kept)


def apart(splits: dict[str, list[Post]]) -> tuple[dict[str, list[Post]], list[str]]:
    """Splits without repeated ids, and notes on what was left out.

    Within a split the first post of an id stays. Between splits the test keeps it, then dev, then training, so that
    nothing that is measured was learned.
    """
    notes: list[str] = []
    taken: set[str] = set()
    result: dict[str, list[Post]] = {}
    for name in sorted(splits, key=lambda name: {"test": 0, "dev": 1}.get(name, 2)):
        kept, repeated = once(splits[name])
        if repeated:
            notes.append(f"{repeated} rows of {name} repeat an id; the first of each was kept.")
        clean = [post for post in kept if post.id not in taken]
        if len(clean) < len(kept):
            notes.append(f"{len(kept) - len(clean)} posts of {name} are held out too; they stay only there.")
        taken |= {post.id for post in clean}
        result[name] = clean
    return {name: result[name] for name in splits}, notes
