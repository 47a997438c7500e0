"""The gateway's half of the sync: decides (`uplink`, `pace`), then speaks (`courier`)."""

from .courier import Courier, CourierState, Moment, ServerTime, is_loopback
from .outbox import Outbox
from .pace import Pace
from .uplink import Uplink

__all__ = ["Courier", "CourierState", "Moment", "Outbox", "Pace", "ServerTime", "Uplink", "is_loopback"]
