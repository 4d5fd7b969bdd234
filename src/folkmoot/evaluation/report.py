"""The report: one HTML file that a person wants to read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from folkmoot import __version__
from folkmoot.evaluation import wording
from folkmoot.evaluation.agreement import agreement_by_round, score_agents
from folkmoot.evaluation.calibration import reliability_bins
from folkmoot.evaluation.charts import (
    draw_batch_composition,
    draw_interval_bar,
    draw_learning_curve,
    draw_pseudo_label_quality,
    draw_reliability,
    draw_risk_coverage,
)
from folkmoot.evaluation.comparison import Comparison, SideBySide
from folkmoot.evaluation.concealment import conceal, flatten, shorten
from folkmoot.evaluation.contested import ContestedPost, probability_margin, rank_contested
from folkmoot.evaluation.metrics import Metrics
from folkmoot.evaluation.pairing import NO_LABEL, Pairing, pair
from folkmoot.evaluation.selective import risk_coverage
from folkmoot.records import Opinion, Outcome, Post, Task, Verdict
from folkmoot.runs.atomic import write_atomically

ROUND_KEYS = (
    "round", "accepted", "dev_macro_f1", "best_dev_macro_f1", "batch", "agreed_positive", "agreed_negative",
    "disagreed", "pseudo_label_accuracy", "training_posts", "seconds",
)  # fmt: skip
OUTCOME_COLOURS = ("var(--accent)", "var(--third)", "var(--second)", "#7a5ea8", "#4f7fbf", "var(--bad)", "var(--ink)")
RELIABILITY_BINS = 10
"""Chosen: few enough that a bin's interval says something at a thousand posts."""


def write_report(
    path: Path | str,
    *,
    title: str,
    task: Task | None,
    metrics: Metrics,
    verdicts: Sequence[Verdict],
    gold: Sequence[Post],
    opinions: Mapping[str, Sequence[Opinion]] | None = None,
    posts: Sequence[Post] = (),
    rounds: Sequence[Mapping[str, Any]] | None = None,
    comparison: SideBySide | Comparison | None = None,
    cost: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    setting: Mapping[str, Any] | None = None,
    intro: str | None = None,
    masked: bool = True,
    contested_limit: int = 20,
    mistakes_limit: int = 10,
) -> None:
    """Nothing; afterwards `path` is one HTML file that needs nothing else and fetches nothing.

    Args:
        opinions: a panel's opinions by post, where the verdicts do not carry them (a student's teachers, say).
        posts: further posts, such as the pool's, so that contested ones can show their text.
        rounds: self-training's record of each round, under the keys `ROUND_KEYS`; absent ones are left blank.
        cost: the ledger's totals (`calls`, `prompt_tokens`, `completion_tokens`, `seconds`, `cost_usd`, ...).
        provenance: versions, seeds, hashes, command; values may be mappings. It is printed as given.
        setting: what else was done, such as panel and student, as names and values.
        masked: whether posts' texts and reasons stay hidden until a reader asks. They are encoded in the file, not
            encrypted.

    Raises:
        BadInput: verdicts and gold posts do not fit together, as in `pair`.
        StorageFailed: the file cannot be written.
    """
    pairing = pair(verdicts, gold, task)
    view = {
        "title": title,
        "task": task,
        "metrics": metrics,
        "intro": intro,
        "masked": masked,
        "version": __version__,
        **_headline(metrics, verdicts),
        "setting": _setting(metrics, verdicts, opinions, rounds, setting),
        **_learning(rounds),
        "confusion": _confusion(metrics),
        **_outcomes(metrics),
        **_confidence(pairing),
        **_agreement(verdicts, gold, opinions),
        **_comparison(comparison),
        **_cards(pairing, verdicts, [*posts, *gold], opinions, contested_limit, mistakes_limit),
        "cost": _cost(cost),
        "provenance": list((provenance or {}).items()),
    }
    view["contents"] = _contents(view)
    write_atomically(path, _render(view))


def _render(view: dict[str, Any]) -> str:
    """The page. The policy in it lets no script run but ours, should an escape ever fail."""
    folder = resources.files("folkmoot.evaluation") / "templates"
    css, script, page = ((folder / name).read_text("utf-8") for name in ("report.css", "report.js", "report.html.j2"))
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: "–" if value is None else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "alpha_words": wording.alpha_words,
        "coefficient": wording.coefficient,
        "comparison_words": wording.comparison_words,
        "conceal": conceal,
        "count_words": wording.many,
        "duration": wording.duration,
        "flatten": flatten,
        "p_value": wording.p_value,
        "percentage": wording.percentage,
        "points": wording.points,
        "shorten": shorten,
        "signed_points": wording.signed_points,
    }
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(page).render(
        view,
        css=Markup(css),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        outcome_words=wording.OUTCOME_WORDS,
    )


def _headline(metrics: Metrics, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    judges = sorted({verdict.judge for verdict in verdicts})
    low, high = wording.accuracy_interval(metrics)
    return {
        "headline": wording.headline(metrics),
        "right": wording.right_posts(metrics),
        "interval": (low, high),
        "standing": wording.standing(metrics),
        "judge_words": judges[0] if len(judges) == 1 else f"{len(judges)} judges together" if judges else "the judge",
        "headline_bar": draw_interval_bar(metrics.accuracy, (low, high), mark=metrics.majority_share),
        "unlabelled": sum(metrics.confusion.unlabelled),
    }


def _setting(
    metrics: Metrics,
    verdicts: Sequence[Verdict],
    opinions: Mapping[str, Sequence[Opinion]] | None,
    rounds: Sequence[Mapping[str, Any]] | None,
    setting: Mapping[str, Any] | None,
) -> list[tuple[str, str]]:
    support = ", ".join(f"{scores.support:,} {label}" for label, scores in metrics.per_class.items())
    rows = [
        ("Judge", ", ".join(sorted({verdict.judge for verdict in verdicts})) or "none"),
        ("Posts judged", f"{metrics.n:,} with a known answer: {support}"),
    ]
    said = opinions if opinions is not None else {verdict.id: verdict.opinions for verdict in verdicts}
    agents = sorted({opinion.agent for of_post in said.values() for opinion in of_post})
    if agents:
        posts = sum(1 for of_post in said.values() if of_post)
        total = sum(len(of_post) for of_post in said.values())
        shown = ", ".join(agents[:12]) + (f" and {len(agents) - 12} more" if len(agents) > 12 else "")
        rows.append(("Panel", f"{shown}: {wording.many(total, 'opinion')} on {wording.many(posts, 'post')}"))
    if rounds:
        rows.append(("Self-training", wording.many(len(rounds), "round")))
    return rows + [(name, flatten(value)) for name, value in (setting or {}).items()]


def _learning(rounds: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    records: list[dict[str, Any]] = [dict.fromkeys(ROUND_KEYS) | dict(record) for record in rounds or ()]
    kept = [record for record in records if record["accepted"]]
    words = ""
    if records:
        scored = [record for record in records if record["dev_macro_f1"] is not None]
        words = f"{wording.many(len(records), 'round')}, {len(kept)} kept. "
        kept_scored = [record for record in scored if record["accepted"]]
        if kept_scored:
            best = max(kept_scored, key=lambda record: float(record["dev_macro_f1"]))
            words += (
                f"Macro-F1 on the dev posts started at {wording.points(scored[0]['dev_macro_f1'])} and was best in "
                f"round {best['round']}, at {wording.points(best['dev_macro_f1'])}. "
            )
        words += "A round that did worse than the best before it was rolled back."
    return {
        "rounds": records,
        "rounds_words": words,
        "learning_curve": draw_learning_curve(records),
        "batch_composition": draw_batch_composition(records),
        "pseudo_label_quality": draw_pseudo_label_quality(records),
    }


def _confusion(metrics: Metrics) -> list[dict[str, Any]]:
    table, has_unlabelled = metrics.confusion, any(metrics.confusion.unlabelled)
    rows = []
    for index, label in enumerate(table.labels):
        counts = [*table.counts[index], *([table.unlabelled[index]] if has_unlabelled else [])]
        support = sum(table.counts[index]) + table.unlabelled[index]
        cells = [
            {"n": n, "share": n / support if support else 0.0, "kind": "right" if column == index else "wrong"}
            for column, n in enumerate(counts)
        ]
        rows.append({"label": label, "support": support, "cells": cells})
    return rows


def _outcomes(metrics: Metrics) -> dict[str, Any]:
    counted = [(wording.OUTCOME_WORDS[outcome], metrics.outcomes[outcome.value]) for outcome in Outcome]
    counted.append(("no verdict at all", metrics.missing))
    rows = [
        {"words": words, "n": n, "share": n / metrics.n, "colour": colour}
        for (words, n), colour in zip(counted, OUTCOME_COLOURS, strict=True)
    ]
    oddities = [
        f"{wording.many(n, noun)} {rest}"
        for n, noun, rest in (
            (metrics.extra, "verdict", "on posts without a known answer: not counted."),
            (metrics.repeated, "verdict", "replaced by a later one on the same post."),
            (metrics.without_gold, "post", "without a known answer: left out."),
        )
        if n
    ]
    summary = ", ".join(f"{row['words']}: {row['n']}" for row in rows if row["n"])
    return {"outcomes": rows, "outcomes_summary": summary, "oddities": oddities}


def _confidence(pairing: Pairing) -> dict[str, Any]:
    sure = np.isfinite(pairing.confidence)
    confidence, right = pairing.confidence[sure], (pairing.top == pairing.gold)[sure]
    bins = reliability_bins(confidence, right, bins=RELIABILITY_BINS, binning="equal_mass")
    labelled = sure & (pairing.predicted != NO_LABEL)
    curve = risk_coverage(pairing.confidence[labelled], pairing.correct[labelled], n=len(pairing.ids))
    points = {point.coverage: point for share in (0.25, 0.5, 0.75, 0.9) if (point := curve.at(share))}
    if curve.points:
        points[curve.points[-1].coverage] = curve.points[-1]
    words = ""
    if len(confidence):
        gap = float(confidence.mean() - right.mean())
        words = (
            f"On average it was {wording.percentage(float(confidence.mean()), 0)} sure and "
            f"{wording.percentage(float(right.mean()), 0)} right"
            + (": too sure." if gap > 0.03 else ": not sure enough." if gap < -0.03 else ".")
        )
    return {
        "reliability": draw_reliability(bins),
        "calibration_words": words,
        "risk_coverage": draw_risk_coverage(curve),
        "operating_points": list(points.values()),
    }


def _agreement(
    verdicts: Sequence[Verdict], gold: Sequence[Post], opinions: Mapping[str, Sequence[Opinion]] | None
) -> dict[str, Any]:
    said = opinions if opinions is not None else {verdict.id: verdict.opinions for verdict in verdicts}
    rounds = agreement_by_round(said)
    several = any(found.comparable for found in rounds)
    return {"agreement": rounds if several else (), "agents": score_agents(said, gold) if several else ()}


def _comparison(comparison: SideBySide | Comparison | None) -> dict[str, Any]:
    if comparison is None:
        return {"comparison": [], "comparisons": (), "comparison_axis": (0.0, 1.0)}
    if isinstance(comparison, Comparison):
        return {"comparison": [], "comparisons": (comparison,), "comparison_axis": (0.0, 1.0)}
    ends = [end for metrics in comparison.judges.values() for end in metrics.interval95["macro_f1"]]
    axis = max(0.0, np.floor(min(ends) * 20 - 0.2) / 20), min(1.0, np.ceil(max(ends) * 20 + 0.2) / 20)
    mark = comparison.judges[comparison.reference].macro_f1 if len(comparison.judges) > 1 else None
    rows = [
        (name, metrics, draw_interval_bar(metrics.macro_f1, metrics.interval95["macro_f1"], axis=axis, mark=mark))
        for name, metrics in comparison.judges.items()
    ]
    return {"comparison": rows, "comparisons": comparison.comparisons, "comparison_axis": axis}


def _cards(
    pairing: Pairing,
    verdicts: Sequence[Verdict],
    posts: Sequence[Post],
    opinions: Mapping[str, Sequence[Opinion]] | None,
    contested_limit: int,
    mistakes_limit: int,
) -> dict[str, Any]:
    verdict_of = {verdict.id: verdict for verdict in verdicts}
    post_of = {post.id: post for post in posts}

    def card(id_: str, said: Sequence[Opinion], why: str) -> dict[str, Any]:
        post, verdict = post_of.get(id_), verdict_of.get(id_)
        truth = post.label if post else None
        judged = verdict is not None and verdict.label is not None and truth is not None
        mark = ("right" if verdict and verdict.label == truth else "wrong") if judged else ""
        said = sorted(said, key=lambda opinion: opinion.round)
        return {
            "id": id_, "post": post, "gold": truth, "verdict": verdict, "opinions": said, "why": why, "mark": mark,
        }  # fmt: skip

    ranked = rank_contested(verdicts, opinions)
    # A post nobody doubted is not contested, however far down the list one looks.
    doubtful = [post for post in ranked if post.entropy_bits > 0 or (post.margin is not None and post.margin < 0.5)]
    shown = doubtful[:contested_limit]
    by_confidence = np.argsort(-np.nan_to_num(pairing.confidence, nan=-1.0), kind="stable")
    wrong = [
        pairing.ids[row]
        for row in by_confidence
        if pairing.predicted[row] != NO_LABEL and not pairing.correct[row] and np.isfinite(pairing.confidence[row])
    ]
    already = {post.id for post in shown}
    said_on = opinions or {}
    return {
        "contested": [card(post.id, post.opinions, _why_contested(post)) for post in shown],
        "contested_words": (
            f"{wording.many(len(doubtful), 'post')} divided the agents or left the judge in doubt; "
            f"here {'is' if len(shown) == 1 else 'are'} {'the most contested ' if len(doubtful) > len(shown) else ''}"
            f"{len(shown)}, with every opinion."
        ),
        "sure_mistakes": [
            card(id_, said_on.get(id_) or verdict_of[id_].opinions, "")
            for id_ in wrong
            if id_ not in already and (probability_margin(verdict_of[id_]) or 0) >= 0.5
        ][:mistakes_limit],
    }


def _why_contested(post: ContestedPost) -> str:
    if post.final_entropy_bits > 0:
        return "agents still differ"
    if post.entropy_bits > 0:
        return "agents differed at first"
    return "close call"


def _cost(cost: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if not cost:
        return []
    known = {
        "calls": ("Model calls", "{:,}".format),
        "attempts": ("Attempts", "{:,}".format),
        "failed": ("Attempts that failed", "{:,}".format),
        "lost_in_flight": ("Lost in flight when a run was killed", "{:,}".format),
        "prompt_tokens": ("Tokens read", "{:,}".format),
        "completion_tokens": ("Tokens written", "{:,}".format),
        "seconds": ("Time spent in calls", wording.duration),
        "cost_usd": ("Price", "{:,.4f} USD".format),
    }
    rows = []
    for key, value in cost.items():
        name, form = known.get(key, (key.replace("_", " ").capitalize(), flatten))
        if value is not None:
            rows.append((name, form(value)))
    return rows


def _contents(view: Mapping[str, Any]) -> list[tuple[str, str]]:
    sections = [
        ("done", "What was done", True),
        ("learning", "How it learned", view["rounds"]),
        ("mistakes", "Right and wrong", True),
        ("outcomes", "How it ended", True),
        ("confidence", "Confidence", view["reliability"] or view["risk_coverage"]),
        ("agreement", "Agreement", view["agreement"]),
        ("comparison", "Other judges", view["comparison"] or view["comparisons"]),
        ("contested", "Contested posts", view["contested"]),
        ("sure-mistakes", "Sure mistakes", view["sure_mistakes"]),
        ("cost", "Cost", view["cost"]),
        ("provenance", "Provenance", True),
    ]
    return [(anchor, name) for anchor, name, present in sections if present]
