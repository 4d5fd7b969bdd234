"""Folkmoot: a society of agents judges posts, explains each verdict, and distils it into one small model."""

__version__ = "0.1.0"
