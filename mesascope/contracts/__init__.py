"""Abstract types and protocols for everything that users can add, and the functions that plug-ins need."""

from mesascope.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
