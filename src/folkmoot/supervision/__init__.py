"""Verdicts and gold labels -> Lessons."""

from folkmoot.supervision.agreement import Agreement, Source, audit, gold_lessons, teach

__all__ = ["Agreement", "Source", "audit", "gold_lessons", "teach"]
