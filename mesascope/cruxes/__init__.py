"""The crux model: what people's claims imply, where people differ, and how evidence should move their beliefs."""

from mesascope.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
