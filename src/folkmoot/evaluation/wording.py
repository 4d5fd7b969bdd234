"""Figures in words that somebody who is no statistician understands."""

from __future__ import annotations

from folkmoot.evaluation.bootstrap import Interval
from folkmoot.evaluation.calibration import wilson_interval
from folkmoot.evaluation.comparison import Comparison, Difference
from folkmoot.evaluation.metrics import Metrics
from folkmoot.records import Outcome

OUTCOME_WORDS = {
    Outcome.LABELLED: "gave a label",
    Outcome.ABSTAINED: "abstained: too unsure to say",
    Outcome.REFUSED: "the model refused to answer",
    Outcome.UNPARSABLE: "the reply could not be read",
    Outcome.MEDIA_MISSING: "a picture, clip or sound was missing",
    Outcome.CALL_FAILED: "the call to the model failed",
}


def percentage(share: float | None, digits: int = 1) -> str:
    """`0.872` as `87.2%`; a dash for None."""
    return "–" if share is None else f"{share * 100:.{digits}f}%"


def points(share: float | None, digits: int = 1) -> str:
    """`0.872` as `87.2`, of 100; a dash for None."""
    return "–" if share is None else f"{share * 100:.{digits}f}"


def signed_points(share: float) -> str:
    """`0.018` as `+1.8`, with a true minus sign."""
    text = f"{share * 100:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def coefficient(value: float | None, digits: int = 2) -> str:
    """`-0.04` as `−0.04`, with a true minus sign; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def p_value(p: float) -> str:
    """A p-value to two or three digits, never 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def duration(seconds: float) -> str:
    """`4000` as `1 h 6 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def many(number: int, noun: str) -> str:
    """`1 post`, `1,000 posts`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def right_posts(metrics: Metrics) -> int:
    """How many posts got their gold label."""
    return sum(row[c] for c, row in enumerate(metrics.confusion.counts))


def accuracy_interval(metrics: Metrics) -> Interval:
    """The interval of the accuracy; Wilson's where the bootstrap has no width, as when no post was judged wrongly."""
    low, high = metrics.interval95["accuracy"]
    return (low, high) if high > low else wilson_interval(right_posts(metrics), metrics.n)


def headline(metrics: Metrics) -> str:
    """The result in one line."""
    right = right_posts(metrics)
    if metrics.n < 100:
        return f"Right on {right} of {many(metrics.n, 'post')}"
    # 100 or 0 of 100 is said only where it is true of every post.
    in_hundred = right if right in (0, metrics.n) else min(99, max(1, round(metrics.accuracy * 100)))
    if right == metrics.n:
        return f"Right on all {metrics.n:,} posts"
    return f"Right on {in_hundred} of every 100 posts"


def standing(metrics: Metrics) -> str:
    """What the accuracy is worth beside always giving the commonest answer."""
    commonest = max(metrics.per_class, key=lambda label: metrics.per_class[label].support)
    share = percentage(metrics.majority_share)
    low, high = accuracy_interval(metrics)
    if low > metrics.majority_share:
        how = "clearly more than"
    elif high < metrics.majority_share:
        how = "clearly less than"
    else:
        how = "not clearly different from"
    return f"That is {how} the {share} that always answering “{commonest}” would get."


def alpha_words(alpha: float | None) -> str:
    """Krippendorff's own reading of alpha (2004): 0.8 to rely on, 0.667 for tentative conclusions."""
    if alpha is None:
        return "cannot be told"
    if alpha >= 0.8:
        return "reliable"
    if alpha >= 0.667:
        return "enough for tentative conclusions"
    if alpha > 0.2:
        return "weak"
    return "hardly better than chance" if alpha > -0.1 else "worse than chance: they oppose each other"


def comparison_words(comparison: Comparison) -> str:
    """Who is better by the macro-F1's paired interval, and whether by more than chance."""
    if not comparison.macro_f1.is_clear:
        return f"No clear difference in macro-F1 between {comparison.first} and {comparison.second}."
    better, worse = comparison.first, comparison.second
    difference = comparison.macro_f1
    if difference.value < 0:
        better, worse = worse, better
        low, high = difference.interval95
        difference = Difference(value=-difference.value, interval95=(-high, -low), p=difference.p)
    low, high = difference.interval95
    return (
        f"{better} beats {worse} by {points(difference.value)} points of macro-F1 "
        f"(95% interval {points(low)} to {points(high)})."
    )
