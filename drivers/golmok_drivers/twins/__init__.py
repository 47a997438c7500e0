"""The simulated other end of every bus: part of the product, so that a shop runs on a laptop."""

from __future__ import annotations

from golmok_drivers.twins.simulation import SimDevice, Simulation, simulate

__all__ = ["SimDevice", "Simulation", "simulate"]
