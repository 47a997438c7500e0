"""The root of what this package raises. Light to import: `golmok-cloud token` needs no web framework."""

from __future__ import annotations


class ServerError(Exception):
    """Root of what this package raises."""
