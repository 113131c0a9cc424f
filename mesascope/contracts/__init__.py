"""Abstract types and protocols of everything that users can add, and what their files need: all in one import."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
