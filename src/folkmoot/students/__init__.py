"""A student's folder -> a Judge. Serving an exported student needs onnxruntime and tokenizers, not torch."""

from folkmoot.students.card import Calibration, StudentCard
from folkmoot.students.language import LanguageCard, LanguageStudent
from folkmoot.students.opening import Student, card_file, open_encoder_student, open_student
from folkmoot.students.text_student import TextStudent

__all__ = [
    "Calibration",
    "LanguageCard",
    "LanguageStudent",
    "Student",
    "StudentCard",
    "TextStudent",
    "card_file",
    "open_encoder_student",
    "open_student",
]
