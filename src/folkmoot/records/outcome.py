"""How an attempt to judge ended. An outcome is never a label."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The six ways in which an opinion, a verdict or an observation can end.

    Only `LABELLED` enters a count. A failure is reported; it never becomes "real", "normal" or 0.
    """

    LABELLED = "labelled"
    ABSTAINED = "abstained"
    REFUSED = "refused"
    UNPARSABLE = "unparsable"
    MEDIA_MISSING = "media_missing"
    CALL_FAILED = "call_failed"

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong, as opposed to a label or a deliberate abstention."""
        return self not in (Outcome.LABELLED, Outcome.ABSTAINED)
