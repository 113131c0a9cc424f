"""The crux model: what people's claims imply, where people differ, and how evidence should move their beliefs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
