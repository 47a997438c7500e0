"""A flow meter with a turbine and a Hall switch (YF-S201 or its like) at a pin: litres a minute, and litres in all.

Data sheet: https://www.seeedstudio.com/document/pdf/YF-S201.pdf. Each turn of the turbine pulls the pin a number of
times: 450 pulses are a litre. All pulses are counted, none merge; the flow is that since the last sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.api import (
    Channel,
    DriverInfo,
    Gpio,
    GpioCounter,
    Identity,
    NotReady,
    PolledDriver,
    Reading,
    Settings,
    Value,
    World,
    judged,
)

VOLUME: Final = Channel("volume", "L", 0.0, None, 0.01, None)
FLOW: Final = Channel("flow", "L/min", 0.0, 60.0, 0.01, 1.0)


class FlowSettings(Settings):
    """A turbine with a Hall switch at a pin."""

    pin: Annotated[int, msgspec.Meta(ge=0, le=27, description="The pin's BCM number (GPIO17 is 17).", examples=[16])]
    pulses_per_litre: Annotated[
        float, msgspec.Meta(gt=0, le=100_000, description="Pulses of a litre, by its data sheet.", examples=[450])
    ] = 450.0
    pull_up: Annotated[
        bool, msgspec.Meta(description="The switch pulls to ground (open collector); false: to 3.3 V.", examples=[True])
    ] = True


class FlowDriver(PolledDriver):
    """Counts pulses all the time, and says every few seconds what they come to."""

    api = 1
    info = DriverInfo(
        "flow",
        title="Flow meter (pulses)",
        title_ko="유량계 (펄스)",
        bus="gpio",
        datasheet="https://www.seeedstudio.com/document/pdf/YF-S201.pdf",
        channels=(VOLUME, FLOW),
        interval_s=10.0,
        wiring=(("red", "5 V (pin 4)"), ("black", "GND (pin 39)"), ("yellow", "the pin, such as GPIO16 (pin 36)")),
        note="Its output must be an open collector: one that drives 5 V needs a divider, or the Pi breaks.",
        examples=({"pin": 16}, {"pin": 20, "pulses_per_litre": 330.0}),
    )
    Settings = FlowSettings

    def __init__(self, settings: Any, *, timezone: str = "UTC", clock: Callable[[], float] = time.monotonic) -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        self._clock = clock
        self._pin: GpioCounter | None = None
        self._before_l = 0.0
        """What earlier counts came to."""
        self._volume_l, self._last_s = 0.0, 0.0

    def resume(self, last: Mapping[str, Value]) -> None:
        """See `Driver.resume`."""
        volume = last.get(VOLUME.quantity)
        if isinstance(volume, int | float) and not isinstance(volume, bool) and volume >= 0:
            self._before_l = self._volume_l = float(volume)

    async def open(self, bus: Gpio) -> None:
        """See `Driver.open`."""
        self._pin = await bus.count(self.settings.pin, pull_up=self.settings.pull_up)
        self._before_l, self._last_s = self._volume_l, self._clock()

    async def probe(self) -> Identity:
        """A turbine cannot say who it is."""
        return Identity("flow meter", f"pin {self.settings.pin}")

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        if self._pin is None:
            raise NotReady("flow: it is not open")
        pulses, now_s = self._pin.pulses, self._clock()
        volume_l = self._before_l + pulses / self.settings.pulses_per_litre
        minutes = max(now_s - self._last_s, 1e-3) / 60
        flow = (volume_l - self._volume_l) / minutes
        self._volume_l, self._last_s = volume_l, now_s
        return Reading(VOLUME.quantity, round(volume_l, 3)), judged(FLOW, round(flow, 2))

    async def close(self) -> None:
        """See `Driver.close`."""
        pin, self._pin = self._pin, None
        if pin:
            pin.close()


class FlowTwin:
    """A turbine in a pipe through which something flows (litres a minute)."""

    api: ClassVar[int] = 1
    ungiven: ClassVar[frozenset[str]] = frozenset({"flow"})
    unseen: ClassVar[dict[str, str]] = {
        "unplugged": "no pulses are no water",
        "shorted": "no pulses are no water",
        "stuck": "a turbine that is jammed is no water",
        "noisy": "pulses of a loose wire are water; more than 60 L/min is `range`",
        "swapped": "it has nothing by which one could be told from another",
    }

    def __init__(self, settings: FlowSettings, world: World) -> None:
        self._world = world
        self._settings = settings
        self._last_s = world.part_s()
        self._turned = 0.0
        self.pin: int = settings.pin

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A tap that is opened now and then."""
        return {"flow": {"kind": "cycle", "low": 0.0, "high": 6.0, "period_s": 240.0, "duty": 0.3}}

    def pulses(self) -> int:
        """See `PulseTwin.pulses`."""
        now_s = self._world.part_s()
        flow = min(max(self._world.feel("flow"), 0.0), 120.0)
        self._turned += max(0.0, min(now_s - self._last_s, 10.0)) / 60 * flow * self._settings.pulses_per_litre
        self._last_s = now_s
        whole = int(self._turned)
        self._turned -= whole
        return whole

    def counted(self, pulses: int) -> None:
        """See `PulseTwin.counted`. The flow is a matter of the asker's clock: only the volume is given."""
        self._world.give("volume", round(pulses / self._settings.pulses_per_litre, 3))
