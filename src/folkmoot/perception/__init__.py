"""Media -> Observations. One verb: `perceive(medium, settings)`."""

from folkmoot.perception.perceive import PERCEIVED, perceive, perceive_post
from folkmoot.perception.settings import PerceptionSettings

__all__ = ["PERCEIVED", "PerceptionSettings", "perceive", "perceive_post"]
