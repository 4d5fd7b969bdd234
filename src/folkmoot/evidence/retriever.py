"""The role: a question in, passages out, the nearest first."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pydantic import Field, field_validator

from folkmoot.records import Evidence, FolkmootError, Record
from folkmoot.records.dates import iso_date


class SourceDown(FolkmootError):
    """A source did not answer, or answered nothing that can be read. Judges go on without it and say so."""

    retryable = True


class Question(Record):
    """What is looked for. `as_of`, an ISO date, leaves out whatever was published on that day or later."""

    text: str
    k: int = Field(default=5, ge=1, le=1000)
    as_of: str | None = None
    allow_undated: bool = False

    @field_validator("as_of")
    @classmethod
    def _is_a_date(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = iso_date(value)
        if found is None or len(found) != 10:
            raise ValueError(f"as_of is a day such as 2020-05-01, not '{value}'")
        return found

    def admits(self, published: str | None) -> bool:
        """Whether something published then may be seen: only what was surely out before the day.

        A date that names no day may be any day of its year or month, so it is taken for the last.

        >>> [Question(text="q", as_of="2020-05-01").admits(day) for day in ("2020-04-30", "2020-04", "2020", None)]
        [True, True, False, False]
        """
        if self.as_of is None:
            return True
        if published is None:
            return self.allow_undated
        return (
            published + "-99-99"[len(published) - 10 :] < self.as_of if len(published) < 10 else published < self.as_of
        )


@runtime_checkable
class Retriever(Protocol):
    """Finds passages that bear on a question."""

    name: str

    async def retrieve(self, question: Question) -> tuple[Evidence, ...]:
        """At most `question.k` passages, the nearest first; `published` before `as_of` where one is given.

        Raises:
            SourceDown: the source does not answer.
        """
        ...
