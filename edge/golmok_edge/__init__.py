"""The gateway: composes drivers, vision and the sync client into the processes that run in a shop."""

__version__ = "0.1.0"
