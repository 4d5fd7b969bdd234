"""A student's folder -> the student, of whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from folkmoot.records import BadInput
from folkmoot.students.card import CARD_FILE, StudentCard
from folkmoot.students.language import CARD_FILE as LANGUAGE_CARD_FILE
from folkmoot.students.language import LanguageStudent
from folkmoot.students.text_student import TextStudent

Student = TextStudent | LanguageStudent
CARD_FILES = (CARD_FILE, LANGUAGE_CARD_FILE)


def card_file(folder: Path | str) -> Path | None:
    """The card of a student's folder, or None where the folder is no student's."""
    return next((path for name in CARD_FILES if (path := Path(folder) / name).is_file()), None)


def open_student(folder: Path | str, *, thorough: bool = False) -> Student:
    """The student of a folder: a text classifier, or a language model.

    Args:
        thorough: as for `TextStudent.load`.

    Raises:
        BadInput: the folder is no student's.
        MissingExtra: what would run it is not installed.
    """
    card = card_file(folder)
    if card is None:
        raise BadInput(f"{folder} is no student's folder: it has neither {' nor '.join(CARD_FILES)}")
    if card.name == CARD_FILE:
        return open_encoder_student(Path(folder), thorough=thorough)
    return LanguageStudent.load(folder)


def open_encoder_student(folder: Path, *, runtime: str | None = None, thorough: bool = False) -> TextStudent:
    """The classifier of a folder, whichever views it reads.

    Args:
        runtime, thorough: as for `TextStudent.load`.

    Raises:
        BadInput: the folder is no such student's.
        MissingExtra: what would run it is not installed.
    """
    if "views" in StudentCard.load(folder).towers:
        from folkmoot.students.seeing import SeeingStudent

        return SeeingStudent.load(folder, runtime=runtime)
    return TextStudent.load(folder, runtime=runtime, thorough=thorough)
