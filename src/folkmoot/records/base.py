"""What every record shares: frozen, strict about unknown fields, and a JSON round trip."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from folkmoot.records.canonical import content_hash


class Record(BaseModel):
    """A frozen value without tensors in it. `from_line(record.to_line())` equals the record."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def to_line(self) -> str:
        """One line of JSON without a line break, fields in their declared order."""
        return self.model_dump_json()

    @classmethod
    def from_line(cls, line: str | bytes) -> Self:
        """The record that `to_line` wrote.

        Raises:
            pydantic.ValidationError: the line is not a record of this kind.
        """
        return cls.model_validate_json(line)

    @property
    def hash(self) -> str:
        """The record's identity: the SHA-256 of its canonical JSON."""
        return content_hash(self.model_dump(mode="json"))
