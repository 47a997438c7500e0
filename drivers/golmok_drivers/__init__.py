"""Buses, devices and their twins. Knows nothing of stores, clouds or pages."""
