"""The same picture or clip seen before: in a hash bank, or among the posts at hand under another caption.

A clip that went round before with other words is the plainest sign of something put out of its context; that it was
never seen before says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from folkmoot.perception.hashes import HashBank, Known, Match, PerceptualHash
from folkmoot.records import Observation, Post


def hashes_of(observations: Sequence[Observation]) -> tuple[PerceptualHash, ...]:
    """The perceptual hashes among the observations."""
    return tuple(
        PerceptualHash(o.detail["pdq"], o.detail["quality"], o.detail["region"])
        for o in observations
        if o.kind == "hash"
    )


def bank_of(perceived: Mapping[str, Sequence[Observation]]) -> HashBank:
    """A bank of the posts' own media; an entry's id is the post's, with the medium's name behind a `/`."""
    return HashBank(
        Known(f"{post}/{o.media}", o.detail["pdq"])
        for post, observations in perceived.items()
        for o in observations
        if o.kind == "hash"
    )


def seen_before(
    post: Post, observations: Sequence[Observation], bank: HashBank, *, texts: Mapping[str, str] | None = None
) -> tuple[Observation, ...]:
    """One `match` a known picture or clip that one of the post's media is a copy of.

    Args:
        texts: the posts' texts by id, where the bank is of posts: `detail.other_words` then says whether the copy came
            with other words, and `detail.post` names it.
    """
    found = []
    by_media: dict[str | None, list[Observation]] = defaultdict(list)
    for observation in observations:
        by_media[observation.media].append(observation)
    for media, seen in by_media.items():
        hashes = hashes_of(seen)
        if not hashes:
            continue
        is_clip = any(o.kind == "hash" and o.start_seconds is not None for o in seen)
        matches = bank.match_video(hashes) if is_clip else bank.match_picture(hashes)
        tool = next(o.tool for o in seen if o.kind == "hash")
        for match in matches:
            name = match.known.id.partition("/")[0]
            if name == post.id:
                continue
            found.append(_match(match, media, tool, name, post, texts))
    return tuple(found)


def _match(
    match: Match, media: str | None, tool: str, name: str, post: Post, texts: Mapping[str, str] | None
) -> Observation:
    detail: dict[str, object] = {"known": match.known.id, "bits": match.bits, "share": round(match.share, 3)}
    how = f"{match.bits} of 256 bits differ" + (f", {match.share:.0%} of its frames" if match.share < 1 else "")
    text = f"The same as '{match.known.id}' of the hash bank ({how})."
    if match.known.note:
        text += f" The bank says: {match.known.note}."
    if texts is not None and name in texts:
        other = " ".join(texts[name].split()).casefold() != " ".join(post.text.split()).casefold()
        detail |= {"post": name, "other_words": other}
        text = f"Post '{name}' shows the same ({how}), with {'other' if other else 'the same'} words."
    return Observation(kind="match", text=text, tool=tool, media=media, detail=detail, confidence=1 - match.bits / 256)
