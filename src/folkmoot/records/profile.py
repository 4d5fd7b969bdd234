"""A profile: who a member of a society is. Invented or machine-written, never a real person's."""

from __future__ import annotations

from pydantic import Field

from folkmoot.records.base import Record


class Profile(Record):
    """One user. `interests` are the topics by which users are matched with posts; everything but the id may be unknown.

    `temperament` is a Myers-Briggs type where OASIS gives one, or any words.
    """

    id: str = Field(min_length=1)
    name: str = ""
    age: int | None = Field(default=None, ge=0, le=130)
    gender: str = ""
    country: str = ""
    profession: str = ""
    temperament: str = ""
    interests: tuple[str, ...] = ()
    persona: str = ""

    def words(self) -> str:
        """The profile as a prompt shows it, one known trait a line."""
        traits = {
            "Age": "" if self.age is None else str(self.age), "Gender": self.gender, "Country": self.country,
            "Profession": self.profession, "Temperament": self.temperament, "Interests": ", ".join(self.interests),
        }  # fmt: skip
        lines = [f"{name}: {value}" for name, value in traits.items() if value]
        return "\n".join([*lines, self.persona] if self.persona else lines)


TRAITS = ("gender", "country", "profession", "temperament")
"""The traits by which a society's coverage is told."""
