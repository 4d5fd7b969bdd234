"""Dates as sources write them -> ISO, as precise as they are."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

DAY_FIRST = re.compile(r"(\d{1,2})[-./](\d{1,2})[-./](\d{4})")
ISO = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?=$|[T ])")


def iso_date(text: str | None) -> str | None:
    """`2020-05-01`, or `2020-05` or `2020` where no more is known; None where it is no date.

    >>> iso_date("2020-05-01T10:00:00Z"), iso_date("31-10-2020"), iso_date("2020"), iso_date("soon")
    ('2020-05-01', '2020-10-31', '2020', None)
    """
    if not text:
        return None
    text = text.strip()
    if (match := ISO.match(text)) is not None:
        year, month, day = match.groups()
        try:
            date(int(year), int(month or 1), int(day or 1))
        except ValueError:
            return None
        return "-".join(part for part in (year, month, day) if part)
    if (match := DAY_FIRST.fullmatch(text)) is not None:
        day, month, year = map(int, match.groups())
        try:
            return date(year, month, day).isoformat()
        except ValueError:
            return None
    try:
        return parsedate_to_datetime(text).astimezone(UTC).date().isoformat()
    except (ValueError, TypeError, IndexError):
        pass
    for form in ("%d %B %Y", "%B %d, %Y", "%d %b %Y", "%b %d, %Y"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).date().isoformat()
        except ValueError:
            continue
    return None
