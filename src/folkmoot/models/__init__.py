"""The only door to a model: messages -> Completion. What is heavy is imported from its own module."""

from folkmoot.models.chat import ChatModel, Completion, Message, Sampling, Schema, Usage, call_key
from folkmoot.models.ledgered import LedgeredModel
from folkmoot.models.limits import Limits
from folkmoot.models.loading import load_model
from folkmoot.models.media_parts import MediaMissing, media_parts
from folkmoot.models.replayed import ReplayedModel
from folkmoot.models.retries import Retries
from folkmoot.models.scripted import ScriptedModel
from folkmoot.models.structured import Answer, ask, reply_schema
from folkmoot.models.untrusted import DATA_NOTICE, data_block

__all__ = [
    "DATA_NOTICE",
    "Answer",
    "ChatModel",
    "Completion",
    "LedgeredModel",
    "Limits",
    "MediaMissing",
    "Message",
    "ReplayedModel",
    "Retries",
    "Sampling",
    "Schema",
    "ScriptedModel",
    "Usage",
    "ask",
    "call_key",
    "data_block",
    "load_model",
    "media_parts",
    "reply_schema",
]
