"""Abstract types and protocols of everything that users can add, and what their files need: all in one import."""

from mesascope.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
