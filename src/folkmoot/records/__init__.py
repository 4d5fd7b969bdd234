"""The nouns. Post -> Observation -> Evidence -> Opinion -> Verdict -> Lesson; the Judge protocol; errors."""

from folkmoot.records.anchor import POST_ANCHOR, Anchor, resolve
from folkmoot.records.base import Record
from folkmoot.records.canonical import bytes_hash, canonical_json, content_hash, text_hash
from folkmoot.records.errors import (
    BadInput,
    BadRecord,
    BudgetReached,
    CallFailed,
    EndpointDown,
    FolkmootError,
    MissingExtra,
    ModelError,
    RunMismatch,
    StorageFailed,
    TooManyFailures,
)
from folkmoot.records.evidence import Evidence
from folkmoot.records.judge import CallPlan, Judge
from folkmoot.records.lesson import Lesson, Membership
from folkmoot.records.observation import Observation
from folkmoot.records.opinion import CLASSIFIER, Opinion
from folkmoot.records.outcome import Outcome
from folkmoot.records.post import Media, MediaType, Post
from folkmoot.records.preference import PreferencePair
from folkmoot.records.profile import Profile
from folkmoot.records.question import Question
from folkmoot.records.task import Label, Task
from folkmoot.records.verdict import Sentence, Span, Verdict

__all__ = [
    "CLASSIFIER",
    "POST_ANCHOR",
    "Anchor",
    "BadInput",
    "BadRecord",
    "BudgetReached",
    "CallFailed",
    "CallPlan",
    "EndpointDown",
    "Evidence",
    "FolkmootError",
    "Judge",
    "Label",
    "Lesson",
    "Media",
    "MediaType",
    "Membership",
    "MissingExtra",
    "ModelError",
    "Observation",
    "Opinion",
    "Outcome",
    "Post",
    "PreferencePair",
    "Profile",
    "Question",
    "Record",
    "RunMismatch",
    "Sentence",
    "Span",
    "StorageFailed",
    "Task",
    "TooManyFailures",
    "Verdict",
    "bytes_hash",
    "canonical_json",
    "content_hash",
    "resolve",
    "text_hash",
]
