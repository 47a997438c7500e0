"""Files on their way to the cloud: what is to be sent lies in a folder, and whoever holds its lock sends it.

The gateway process has no part in it: its memory is for readings.
"""

from golmok_edge.outgoing.sender import Sender
from golmok_edge.outgoing.spool import Item, Outgoing, Parcel, State, Told
from golmok_edge.outgoing.words import say

__all__ = ["Item", "Outgoing", "Parcel", "Sender", "State", "Told", "say"]
