"""The alignment classifier. Importing this needs no torch; training has modules of its own."""

from __future__ import annotations

from .classifier import Classifier
from .features import Features

__all__ = ["Classifier", "Features"]
