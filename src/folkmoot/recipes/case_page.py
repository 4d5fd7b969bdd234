"""One verdict as a page for the person who has to stand for it: what is claimed, what was decided, on what grounds,
where in the clip, and who in the team said what. Self-contained, nothing in it runs; masked until the reader asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from folkmoot.formats.fields import did_you_mean
from folkmoot.perception.page import clock, shown_frames, timeline
from folkmoot.records import Anchor, BadInput, Post, Task, Verdict, resolve

TYPES = {
    "AIGC": "made by a model", "TT": "text tampered with", "VT": "video tampered with", "AT": "audio tampered with",
    "FL": "faulty logic", "EN": "exaggerated", "OC": "offensive", "KE": "error of knowledge", "EF": "fabricated event",
    "ES": "events spliced together",
}  # fmt: skip
ANCHOR_WORDS = {
    "passage": "source", "words": "heard", "box": "read on screen", "span": "in the clip", "hash": "seen before",
    "finding": "in the file", "opinion": "agent", "post": "the post's words",
}  # fmt: skip


def case_page(post: Post, verdict: Verdict, task: Task, *, masked: bool = True) -> str:
    """The page as HTML.

    Args:
        masked: the pictures are blurred and the post's words hidden until the reader ticks a box.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["clock"] = clock
    own = resources.files("folkmoot.recipes") / "templates"
    shared = resources.files("folkmoot.perception") / "templates"
    cited = {name for sentence in verdict.explanation for name in sentence.anchors}
    return environment.from_string((own / "case.html.j2").read_text("utf-8")).render(
        css=Markup((shared / "perceived.css").read_text("utf-8") + (own / "case.css").read_text("utf-8")),
        post=post,
        verdict=verdict,
        task=task,
        masked=masked,
        sentences=[
            {
                "text": s.sentence,
                "anchors": [_shown(a) for name in s.anchors if (a := resolve(name, verdict)) is not None],
            }
            for s in verdict.explanation
        ],
        stages=[
            {
                "name": stage.replace("_", " "),
                "types": [
                    {"code": t, "words": TYPES.get(t, ""), "share": verdict.attribution.get(t, 0.0)} for t in types
                ],
            }
            for stage, types in task.attribution.items()
        ]
        if verdict.attribution
        else [],
        evidence=[
            {
                "n": n,
                "e": e,
                "cited": f"evidence:{n}" in cited,
                "link": e.source if e.source.startswith(("http://", "https://")) else "",
            }
            for n, e in enumerate(verdict.evidence)
        ],
        media=[_medium(Path(medium.path), verdict) for medium in post.media],
        findings=[
            {"n": n, "o": o, "cited": f"observation:{n}" in cited}
            for n, o in enumerate(verdict.observations)
            if o.kind in ("provenance", "match", "container", "event", "media") and "rarity" not in o.detail
        ],
        rare=sorted(
            (
                {"n": n, "o": o}
                for n, o in enumerate(verdict.observations)
                if o.kind == "event" and "rarity" in o.detail
            ),
            key=lambda event: event["o"].start_seconds or 0.0,
        ),
        options=_options(post, verdict),
        attempts=_attempts(verdict) if post.question is not None else [],
        route=[o for o in verdict.opinions if o.agent == "planner" or o.agent.startswith("grounder")]
        if post.question is not None
        else [],
        rounds=sorted({opinion.round for opinion in verdict.opinions}),
    )


def _options(post: Post, verdict: Verdict) -> list[dict[str, Any]]:
    """The options of the post's question, and which the verdict chose."""
    if post.question is None:
        return []
    chosen = (verdict.label or "").split(",")
    lettered = zip(post.question.letters, post.question.options, strict=True)
    return [{"letter": letter, "text": text, "chosen": letter in chosen} for letter, text in lettered]


def _attempts(verdict: Verdict) -> list[dict[str, Any]]:
    """The reasoner's answers with the reviser's scores; taken is the first of the best-scored that gave the answer."""
    scores = {
        o.round: float(found[1])
        for o in verdict.opinions
        if o.agent == "reviser" and (found := re.match(r"score (\d+(?:\.\d+)?) of 10", o.rationale))
    }
    attempts = [
        {"answer": o.label, "score": scores.get(o.round), "taken": False}
        for o in verdict.opinions
        if o.agent == "reasoner"
    ]
    if len(attempts) == 1 and not scores:
        return []
    answered = [attempt for attempt in attempts if attempt["answer"] is not None]
    if answered:
        max(answered, key=lambda attempt: attempt["score"] or 0.0)["taken"] = True
    return attempts


def _shown(anchor: Anchor) -> dict[str, Any]:
    when = ""
    if anchor.start_seconds is not None:
        when = clock(anchor.start_seconds)
        if anchor.end_seconds is not None and anchor.end_seconds != anchor.start_seconds:
            when += f"–{clock(anchor.end_seconds)}"
    return {
        "name": anchor.name,
        "kind": ANCHOR_WORDS[anchor.kind],
        "text": anchor.text,
        "when": when,
        "source": anchor.source,
    }


def _medium(path: Path, verdict: Verdict) -> dict[str, Any]:
    seen = [o for o in verdict.observations if o.media in (None, path.name)]
    ends = [o.end_seconds for o in seen if o.end_seconds is not None]
    duration = max(ends, default=0.0)
    spans = [span for span in verdict.spans if span.media in (None, path.name)] if duration else []
    return {
        "name": path.name,
        "frames": shown_frames(path),
        **timeline(seen, duration),
        "spans": [
            {"left": 100 * s.start / duration, "width": max(0.6, 100 * (s.end - s.start) / duration), "why": s.why,
             "when": f"{clock(s.start)} to {clock(s.end)}"}
            for s in spans
        ],
    }  # fmt: skip


def find_case(verdicts: Sequence[Verdict], posts: Sequence[Post], name: str) -> tuple[Post, Verdict]:
    """The post and the last verdict of that id.

    Raises:
        BadInput: one of the files has none.
    """
    post = next((post for post in posts if post.id == name), None)
    if post is None:
        raise BadInput(f"no post is called '{name}'{did_you_mean(name, [post.id for post in posts])}")
    verdict = next((verdict for verdict in reversed(verdicts) if verdict.id == name), None)
    if verdict is None:
        raise BadInput(f"the verdicts have none on '{name}'; judge it first")
    return post, verdict
