"""Who may do what: gateways sync as themselves, readers read; with open enrolment everybody may everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from golmok_cloud_sync.server.problems import ProblemError
from golmok_cloud_sync.server.registry import NAME, Holder, Registry

_TOKEN_REMEDY = "on the server: golmok-cloud token --data DIR {}"  # noqa: S105  # a command, no secret


@dataclass
class Access:
    """Answers for each request, by the token it carries."""

    registry: Registry
    is_open: bool
    _enrolled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._enrolled = self.registry.gateways()

    def sender(self, authorization: bytes | None) -> Holder | None:
        """Who sends to `/v1/sync`; None where that is open to all. Raises 401, 403."""
        if self.is_open:
            return None
        holder = self._holder(authorization, "--gateway NAME")
        if holder.gateway is None:
            raise ProblemError(403, "a reader's token cannot sync", remedy=_TOKEN_REMEDY.format("--gateway NAME"))
        return holder

    def check_sender(self, holder: Holder | None, gateway: str) -> bool:
        """Raises 400, 403 if the sender may not be `gateway`. True if it must be enrolled first."""
        if NAME.fullmatch(gateway) is None:
            raise ProblemError(400, f"{gateway!r:.60} is no gateway's name: use a-z, 0-9 and -, at most 32 characters")
        if holder is not None and holder.gateway != gateway:
            raise ProblemError(
                403, f"this token is not that of {gateway}", remedy=_TOKEN_REMEDY.format(f"--gateway {gateway}")
            )
        return gateway not in self._enrolled

    def enrol(self, gateway: str) -> None:
        """Know a gateway from now on. Writes a file: not on the event loop."""
        self.registry.enrol(gateway)
        self._enrolled.add(gateway)

    def check_reader(self, authorization: str | None) -> None:
        """Raises 401, 403 if the request may not read."""
        if self.is_open:
            return
        holder = self._holder(authorization.encode() if authorization is not None else None, "--reader")
        if holder.gateway is not None:
            raise ProblemError(403, "a gateway's token cannot read", remedy=_TOKEN_REMEDY.format("--reader"))

    def _holder(self, authorization: bytes | None, kind: str) -> Holder:
        scheme, _, token = (authorization or b"").decode("latin-1").partition(" ")
        holder = self.registry.holder(token.strip()) if scheme.lower() == "bearer" else None
        if holder is None:
            detail = "this needs a token" if authorization is None else "this token is not known here"
            remedy = f"{_TOKEN_REMEDY.format(kind)}; then send it as: Authorization: Bearer TOKEN"
            raise ProblemError(401, detail, remedy=remedy, headers={"WWW-Authenticate": "Bearer"})
        return holder
