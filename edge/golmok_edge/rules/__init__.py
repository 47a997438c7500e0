"""When something is an alarm: readings and time in, steps of alarms out. No I/O, no clock, no store, no settings file.

`Engine` holds a `Watch` for each rule; a watch has a `Condition`, which looks at readings, and the alarm, which is the
same machine for all of them. `build` makes them of the settings; who runs it is `golmok_edge.gateway.alarms`.
"""

from golmok_edge.rules.build import engine_of
from golmok_edge.rules.condition import Condition, Look, Seen
from golmok_edge.rules.engine import Engine, NoSuchAlarmError
from golmok_edge.rules.output import Output
from golmok_edge.rules.watch import Terms, Watch

__all__ = ["Condition", "Engine", "Look", "NoSuchAlarmError", "Output", "Seen", "Terms", "Watch", "engine_of"]
