"""Media -> Observations. One verb: `perceive(medium, settings)`."""

from folkmoot.perception.perceive import perceive, perceive_post
from folkmoot.perception.settings import PerceptionSettings

__all__ = ["PerceptionSettings", "perceive", "perceive_post"]
