"""A student's folder -> a Judge. Serving an exported student needs onnxruntime and tokenizers, not torch."""

from folkmoot.students.card import Calibration, StudentCard
from folkmoot.students.text_student import TextStudent

__all__ = ["Calibration", "StudentCard", "TextStudent"]
