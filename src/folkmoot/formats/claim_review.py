"""Verdicts -> ClaimReview and MediaReview, the JSON-LD in which fact-checks are exchanged.

schema.org, ClaimReview and MediaReview. Nothing is published as an organisation unless its name is given, and a
verdict without a label is left out: a failure is no rating.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from folkmoot.records import BadInput, Post, Task, Verdict, resolve

MEDIA_KINDS = {"image": "ImageObjectSnapshot", "video": "VideoObjectSnapshot", "audio": "AudioObjectSnapshot"}
MEDIA_CATEGORY = {
    "AIGC": "TransformedContent", "VT": "TransformedContent", "AT": "TransformedContent", "TT": "EditedOrCroppedContent",
    "ES": "MissingContext", "EF": "StagedContent", "KE": "MissingContext",
}  # fmt: skip
"""schema.org's MediaManipulationRatingCode for the types that say something about the media."""
NAMED = 0.5


def claim_reviews(
    verdicts: Iterable[Verdict],
    posts: Mapping[str, Post],
    task: Task,
    *,
    author: str | None = None,
    published: str | None = None,
    url: str = "",
) -> list[dict[str, Any]]:
    """A ClaimReview for each labelled verdict, and a MediaReview for each that names a deception of its media.

    The rating runs from 1 (the positive label, surely) to 5 (the negative one, surely); its words are the label.

    Args:
        author: the organisation or person who stands for the reviews; without one they carry no author and are drafts.
        published: an ISO date.
        url: where the reviews are to stand; a verdict's id follows a `#`.

    Raises:
        BadInput: a verdict's label is not one of the task's, or `published` is no date.
    """
    if published is not None:
        try:
            date.fromisoformat(published)
        except ValueError:
            raise BadInput(f"--published {published!r} is no date; give one as 2020-05-01") from None
    found: list[dict[str, Any]] = []
    for verdict in verdicts:
        post = posts.get(verdict.id)
        if verdict.label is None or post is None:
            continue
        if verdict.label not in task.label_names:
            raise BadInput(
                f"the verdict on post '{verdict.id}' has the label '{verdict.label[:80]}'; task '{task.name}' has "
                f"{', '.join(task.label_names)}. Give the verdicts' own task with --task."
            )
        by = {"author": {"@type": "Organization", "name": author}} if author else {"creativeWorkStatus": "Draft"}
        when = {"datePublished": published} if published else {}
        positive = verdict.probabilities.get(task.positive or "", float(verdict.label == task.positive))
        anchors = [resolve(name, verdict) for sentence in verdict.explanation for name in sentence.anchors]
        sources = dict.fromkeys(a.source for a in anchors if a is not None and a.kind == "passage" and a.source)
        found.append(
            {
                "@context": "https://schema.org", "@type": "ClaimReview", "url": f"{url}#{verdict.id}",
                "claimReviewed": post.text, **by, **when,
                "reviewRating": {
                    "@type": "Rating", "ratingValue": round(5 - 4 * positive, 2), "worstRating": 1, "bestRating": 5,
                    "alternateName": verdict.label,
                },
                "itemReviewed": {"@type": "Claim", "appearance": [{"@type": "CreativeWork", "identifier": verdict.id}]},
                "reviewBody": " ".join(sentence.sentence for sentence in verdict.explanation),
                "citation": [{"@type": "CreativeWork", "url": source} for source in sources],
                "sdPublisher": {"@type": "SoftwareApplication", "name": "Folkmoot", "softwareVersion": verdict.judge},
            }
        )  # fmt: skip
        categories = media_categories(verdict)
        if verdict.label == task.positive and post.media and categories:
            found.append(
                {
                    "@context": "https://schema.org", "@type": "MediaReview", "url": f"{url}#{verdict.id}", **by, **when,
                    "mediaAuthenticityCategory": categories,
                    "itemReviewed": {"@type": "MediaReviewItem", "mediaItemAppearance": [
                        {"@type": MEDIA_KINDS[medium.type], "contentUrl": medium.path.rsplit("/", 1)[-1]} for medium in post.media
                    ]},
                }
            )  # fmt: skip
    return found


def media_categories(verdict: Verdict) -> Sequence[str]:
    """schema.org's codes for the types that the verdict names."""
    return list(
        dict.fromkeys(MEDIA_CATEGORY[t] for t, p in verdict.attribution.items() if p >= NAMED and t in MEDIA_CATEGORY)
    )
