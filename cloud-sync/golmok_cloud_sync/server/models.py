"""What the cloud tells about gateways, as documents: the shapes that `/openapi.json` shows and the pages read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["online", "late", "never"]
"""online: heard of within 2.5 x its pace (at least 90 s); late: not; never: enrolled, but not heard of yet."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StreamStatus(_Document):
    """How far one stream of a store has come."""

    next_seq: int = Field(description="the number of the record that is expected next")
    tail: int = Field(description="the newest record on the gateway, as it last said")
    backlog: int = Field(description="records that wait on the gateway, as it last said")


class StoreStatus(_Document):
    """One store of a gateway (the gateway's own, the shop's …); each syncs by itself."""

    store: str
    epoch: str
    version: str
    settings_version: str | None
    last_contact: str | None = Field(description="RFC 3339, UTC")
    streams: dict[str, StreamStatus]


class GatewayStatus(_Document):
    """A gateway at a glance."""

    gateway: str
    title: str = Field(description="what people call the place; empty if it has not said")
    timezone: str | None = Field(
        description="the place's, a name of the tz database; null if it has not said. Times here are UTC all the same"
    )
    state: State
    last_contact: str | None = Field(description="RFC 3339, UTC; null if it never called")
    pace_s: float = Field(description="how often it is asked to call")
    backlog: int = Field(description="records that wait on the gateway, over all streams and stores")
    channels: int = Field(description="how many channels are known")
    version: str = Field(description="of Golmok on the gateway")
    settings_version: str | None


class LatestValue(_Document):
    """The newest value of a channel."""

    channel: str
    value: bool | int | float | str | None
    unit: str = Field(description="UCUM")
    quality: Literal["good", "uncertain", "bad"]
    reason: str
    ts: str | None = Field(description="RFC 3339, UTC; null where the time is not known")


class GatewayDetail(GatewayStatus):
    """All that is known of a gateway now."""

    stores: list[StoreStatus]
    latest: list[LatestValue]


class ChartGap(_Document):
    """A stretch of the chart for which there is nothing, and why."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: int | None = Field(alias="from", description="ms since 1970; null if not known")
    to: int | None = Field(description="ms since 1970; null if not known")
    reason: str
    count: int | None = Field(description="how many records are missing, where that is known")
    open: bool = Field(description="whether it still goes on, as far as the gateway has said")
    detail: str = Field(description="what the driver said, where a device was silent; else empty")


class Chart(_Document):
    """A channel's readings, thinned to what a screen can show. Truth values count as 0 and 1."""

    channel: str
    unit: str
    points: list[tuple[int, float, float, float]] = Field(description="[ms since 1970, least, mean, greatest]")
    gaps: list[ChartGap]
    heard_until: int | None = Field(
        description="ms since 1970: until then the gateway has told what it has; what was later is not known yet"
    )


class Health(_Document):
    """That the server takes data."""

    status: Literal["ok"]
    version: str


class Load(_Document):
    """How much the server has to do."""

    overloaded: bool = Field(description="whether gateways were told to come again (429) within the last minute")
    turned_away: int = Field(description="requests that were told so since the server started")
    queue_requests: int = Field(description="requests that wait for their answer")
    queue_bytes: int = Field(description="what they take of the memory")
    queue_age_s: float = Field(description="how long the oldest of them has waited for its turn")


class AlarmNow(_Document):
    """An alarm as it stands."""

    id: str
    gateway: str
    site: str
    rule: str
    state: Literal["raised", "acknowledged", "escalated", "cleared"]
    what: str = Field(description="a code: high, low, silent, too-hot …")
    severity: Literal["notice", "warning", "critical"]
    channel: str
    title: str = Field(description="what people call the thing")
    value: bool | float | str | None = Field(description="what was seen when it was raised")
    unit: str
    limit: float | None
    by: str = Field(description="who acknowledged it, or why it is over")
    is_acknowledged: bool
    seen_by: str = Field(description="who has said here that he has seen it, while its gateway has not heard so yet")
    ts: str | None = Field(description="when it was last told; RFC 3339, UTC; null where the time is not known")
    text: dict[str, str] = Field(description="a sentence, by language")


class Notices(_Document):
    """How people are told of alarms."""

    channels: list[str] = Field(description="the kinds of channels there are: email, webhook, push")
    waiting: int
    sent: int = Field(description="since this server started")
    dropped: int = Field(description="let go, since nobody would take them")
    last_error: str


class Alarms(_Document):
    """Alarms, the open ones first and the newest of them first."""

    alarms: list[AlarmNow]
    notices: Notices


class Seen(_Document):
    """Somebody has seen an alarm."""

    by: str = Field(min_length=1, max_length=100, description="who: his name, or what he is")


class PushKey(_Document):
    """The server's public key (VAPID), base64url."""

    key: str | None


class Subscribed(_Document):
    """A browser that is told of alarms from now on."""

    endpoint: str


class FileHere(_Document):
    """A file that came whole: its SHA-256 is right."""

    id: str
    name: str
    group: str = Field(description="what it belongs to, such as a scan; empty if to nothing")
    kind: Literal["model", "report", "data", "other"]
    size: int
    sha256: str
    arrived: str = Field(description="when its last bytes came; RFC 3339, UTC")


class FileComing(_Document):
    """A file that was announced and is not here yet."""

    name: str
    group: str
    size: int
    received: int = Field(description="bytes that are here")
    expires: str = Field(description="when it is given up if nothing more comes; RFC 3339, UTC")


class Files(_Document):
    """The files of a gateway, the newest first."""

    files: list[FileHere]
    coming: list[FileComing]
