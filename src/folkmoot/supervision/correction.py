"""The social correction value sc(x): how far a society went wrong on a post, from 0 (all right) to 1 (all wrong)."""

from __future__ import annotations

from typing import NamedTuple

from folkmoot.records import BadInput


def social_correction(n: int, n_correct: int, n_partial: int) -> float:
    """sc(x) = 1 - [N_C / N + (N_P / (N - N_C)) / N], in [0, 1]; higher: the society went further wrong.

    All partly correct users together count for at most one correct user. The corner cases: everyone correct, where the
    formula is 0 / 0, is 0; nobody even partly correct is 1; everyone partly correct is 1 - 1/N; all but one correct
    and that one partly is 0.

    Args:
        n: users whose opinion is labelled; failures don't count.
        n_correct: users whose label is the gold label.
        n_partial: users whose label is wrong while some of what they observe holds.

    Raises:
        BadInput: no user, a negative count, or more correct and partly correct users than users.

    Example:
        >>> social_correction(6, 3, 0)
        0.5
        >>> social_correction(6, 6, 0)
        0.0

    Paper: "Thinking as Society" (SCPO), ICLR 2026.
    """
    if n < 1 or min(n_correct, n_partial) < 0 or n_correct + n_partial > n:
        raise BadInput(
            f"sc(x) of {n} users, {n_correct} correct and {n_partial} partly correct: there must be a user, and correct "
            "and partly correct ones are at most all of them"
        )
    if n_correct == n:
        return 0.0
    return 1.0 - (n_correct + n_partial / (n - n_correct)) / n


class CorrectionRange(NamedTuple):
    """Between which values sc(x) would lie, had the missing users answered too."""

    lowest: float
    highest: float


def correction_range(n: int, n_correct: int, n_partial: int, missing: int) -> CorrectionRange:
    """The range of sc(x) over everything that `missing` more users could have said.

    sc falls with each correct user and rises with each incorrect one, so the ends are all correct and all incorrect.

    Args:
        n: users whose opinion is labelled; may be 0 where everyone is missing.
        missing: users who were asked and refused, failed or could not be read.

    Raises:
        BadInput: the counts are impossible.

    Example:
        >>> correction_range(4, 4, 0, 2)
        CorrectionRange(lowest=0.0, highest=0.33333333333333337)
    """
    if missing < 0:
        raise BadInput(f"{missing} users are missing; there can be none or more")
    asked = n + missing
    return CorrectionRange(
        social_correction(asked, n_correct + missing, n_partial), social_correction(asked, n_correct, n_partial)
    )
