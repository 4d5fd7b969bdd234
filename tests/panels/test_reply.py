"""What counts as a reply."""

import pytest
from mild import MANNERS
from pydantic import ValidationError

from folkmoot.models.structured import reply_schema
from folkmoot.panels.reply import reply_form
from folkmoot.records import Label

GOOD = {"label": "rude", "confidence": 0.5, "reason": "because"}


def test_a_label_counts_in_any_case_and_with_spaces_around_it() -> None:
    assert reply_form(MANNERS).model_validate({**GOOD, "label": " Rude\n"}).model_dump()["label"] == "rude"


def test_labels_that_differ_in_case_only_are_met_exactly() -> None:
    task = MANNERS.model_copy(update={"labels": (Label(name="US"), Label(name="us")), "positive": "US"})
    assert reply_form(task).model_validate({**GOOD, "label": "us"}).model_dump()["label"] == "us"
    with pytest.raises(ValidationError):
        reply_form(task).model_validate({**GOOD, "label": "Us"})


@pytest.mark.parametrize(
    "change",
    [
        {"label": "not rude"},
        {"label": "rude or kind"},
        {"label": None},
        {"label": ["rude"]},
        {"confidence": 90},
        {"confidence": -0.1},
        {"confidence": float("nan")},
        {"confidence": None},
        {"reason": None},
        {"verdict": "rude"},
    ],
)
def test_anything_but_a_label_a_share_and_a_reason_is_refused(change) -> None:
    with pytest.raises(ValidationError):
        reply_form(MANNERS).model_validate({**GOOD, **change})


def test_the_schema_lists_the_labels_and_puts_the_reason_where_it_is_wanted() -> None:
    schema = reply_schema(reply_form(MANNERS))
    assert schema["properties"]["label"]["enum"] == ["rude", "kind"]
    assert list(schema["properties"]) == ["label", "confidence", "reason"]
    assert next(iter(reply_schema(reply_form(MANNERS, reason_first=True))["properties"])) == "reason"
