"""The HTML report of a demo."""

from __future__ import annotations

from .page import build_report

__all__ = ["build_report"]
