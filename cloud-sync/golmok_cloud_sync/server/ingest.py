"""`POST /v1/sync`: bytes in, decisions, one durable commit, bytes out.

Who is let in decides `admission`, before the body is read; in which order, `turns`.
Each part is judged alone. What can be judged without I/O is judged before the log is asked (damage, what does not
decode); the log decides by compare-and-set; only what it did not take is looked at closer. The answer leaves after
the commit has returned, and a gateway's own word decides nothing: who it is says its token.

This is plain ASGI beside FastAPI: the body of a request is no JSON, and at thousands of requests a second what a
framework adds to each would cost more than the commit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from golmok_cloud_sync.protocol import (
    ACKNOWLEDGED,
    Frame,
    Hello,
    Part,
    PartResult,
    ProtocolError,
    Record,
    Reply,
    Stream,
    StreamReply,
    StreamState,
    Verdict,
    decode_request,
    encode_reply,
    is_rolled_back,
    judge,
)
from golmok_cloud_sync.server import bodies
from golmok_cloud_sync.server.access import Access
from golmok_cloud_sync.server.admission import Admission, Ticket, TurnedAwayError
from golmok_cloud_sync.server.committer import Committer
from golmok_cloud_sync.server.fleet import Fleet
from golmok_cloud_sync.server.history import crcs, is_same
from golmok_cloud_sync.server.live import Hub
from golmok_cloud_sync.server.log import Appended, BatchLog, EpochKey, LogError, StreamKey
from golmok_cloud_sync.server.metrics import Metrics, Queue
from golmok_cloud_sync.server.models import Load
from golmok_cloud_sync.server.privilege import Allowance, claims, deserves
from golmok_cloud_sync.server.problems import ProblemError
from golmok_cloud_sync.server.registry import Holder
from golmok_cloud_sync.server.turns import BusyError, Turns, Whose
from golmok_cloud_sync.server.verify import RefusedError, Verified, verify

_INLINE: Final = 32 << 10
"""Bodies up to so many bytes are decoded on the event loop: handing them to a thread would cost more."""

_LATELY_S: Final = 60.0
_log = logging.getLogger(__name__)
_T = TypeVar("_T")

Positions = dict[Stream, StreamState]


class _Answer(NamedTuple):
    """A response, as ASGI has it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _Looked(NamedTuple):
    """A part, and either what it becomes or why it is refused."""

    part: Part
    verified: Verified | None
    refusal: str


@dataclass
class Sync:
    """The endpoint, and what it works with."""

    log: BatchLog
    committer: Committer
    fleet: Fleet
    hub: Hub
    access: Access
    metrics: Metrics
    threads: Executor
    admission: Admission
    commands: Callable[[str], Sequence[Mapping[str, Any]]] = lambda gateway: ()
    """What a gateway is to be told with its reply."""
    turns: Turns = field(default_factory=Turns)
    allowance: Allowance = field(default_factory=Allowance)
    _positions: dict[EpochKey, Positions] = field(default_factory=dict)

    def queue(self) -> Queue:
        """What is under way now."""
        door = self.admission
        return Queue(len(self.turns), door.held_bytes, round(self.turns.age_s(), 3), door.turned_away)

    def load(self) -> Load:
        """What the operator's page says of it."""
        now = self.queue()
        turned_away = sum(now.turned_away.values())
        return Load(
            overloaded=self.admission.is_overloaded(_LATELY_S),
            turned_away=turned_away,
            queue_requests=now.requests,
            queue_bytes=now.bytes,
            queue_age_s=now.age_s,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        try:
            answer = await self._answer(headers, receive)
        except ProblemError as problem:
            answer = _of_problem(problem)
        except Exception:  # noqa: BLE001  # the next request must find a server
            _log.exception("a sync failed")
            answer = _of_problem(ProblemError(500, "the server failed at this; its log says why"))
        if answer is None:  # nobody is there any more
            return
        self.metrics.requests[answer.status] += 1
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, headers: dict[bytes, bytes], receive: Receive) -> _Answer | None:
        if b"origin" in headers and not headers.get(b"content-type", b"").startswith(b"application/"):
            raise ProblemError(415, "a page of another site may not sync")
        holder = self.access.sender(headers.get(b"authorization"))
        length = bodies.told_length(headers)
        sender = holder.gateway if holder is not None else None
        try:
            ticket = await self.admission.enter(length, sender, urgent=claims(headers, length))
        except TurnedAwayError as away:
            is_passed = b"expect" not in headers and await bodies.pass_over(receive, length)
            raise bodies.come_again(away, close=not is_passed) from away
        answer = None
        try:
            answer = await self._serve(receive, length, holder, ticket)
            return answer
        except TurnedAwayError as away:
            raise bodies.come_again(away, close=not ticket.is_read) from away
        finally:
            self.admission.leave(ticket, done=answer is not None)

    async def _read(self, receive: Receive, length: int | None, ticket: Ticket) -> bytes | None:
        try:
            async with bodies.deadline(length) as ticket.deadline:
                body = await bodies.read(receive, lambda size: self.admission.came(ticket, size))
        except TimeoutError:
            if ticket.gave_way:
                raise self.admission.too_slow() from None
            raise bodies.too_slow() from None
        if body is not None:
            self.metrics.bytes += len(body)
            self.admission.was_read(ticket, len(body))
        return body

    async def _serve(
        self, receive: Receive, length: int | None, holder: Holder | None, ticket: Ticket
    ) -> _Answer | None:
        body = await self._read(receive, length, ticket)
        if body is None:
            return None
        read_s = time.monotonic()
        hello, parts = await self._off_loop(len(body), decode_request, body)
        if self.access.check_sender(holder, hello.gateway):
            await self._in_thread(self.access.enrol, hello.gateway)
        if ticket.urgent:
            self._check_privilege(hello.gateway, parts, ticket, len(body))
        whose, cost, size = Whose(hello.gateway, hello.store, ticket.urgent), ticket.cost, len(body)
        del body  # its pieces are held by the parts
        try:
            await self.turns.begin(whose, cost)
        except BusyError as error:
            raise self.admission.turn_away("gateway", str(error)) from error
        try:
            looked = await self._off_loop(size, _look, hello, parts)
            reply = await self._sync(hello, looked, urgent=ticket.urgent)
        finally:
            self.turns.end(whose, cost)
        return _answer(reply, time.monotonic() - read_s)

    def _check_privilege(self, gateway: str, parts: Sequence[Part], ticket: Ticket, size: int) -> None:
        if deserves(parts) and self.allowance.take(gateway, size, time.monotonic()):
            self.metrics.urgent += 1
        else:
            self.admission.demote(ticket)

    async def _off_loop(self, size: int, function: Callable[..., _T], *args: Any) -> _T:
        """Work on a body of `size` bytes, off the event loop if that takes long. Raises 400."""
        try:
            if size <= _INLINE:
                return function(*args)
            return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)
        except ProtocolError as error:
            raise ProblemError(400, f"this is no sync request: {error}") from error

    async def _sync(self, hello: Hello, looked: Sequence[_Looked], *, urgent: bool) -> Reply:
        epoch = EpochKey(hello.gateway, hello.store, hello.epoch)
        positions, met = await self._where(epoch)
        forks = {
            stream
            for stream, report in hello.streams.items()
            if is_rolled_back(positions.get(stream, StreamState()), report.tail)
        }
        good = [one.verified for one in looked if one.verified is not None and one.part.stream not in forks]
        try:
            appended = await self.committer.append([v.batch for v in good], met, urgent=urgent) if good or met else []
        except LogError as error:
            self._positions.pop(epoch, None)
            raise ProblemError(
                503, str(error), remedy="nothing of this request was taken; send it again", headers={"Retry-After": "5"}
            ) from error
        for verified, result in zip(good, appended, strict=True):
            _advance(positions, verified.batch.key.stream, result.position)
        results = await self._results(epoch, looked, appended, forks)
        self._tell(hello, good, appended)
        return await self._reply(hello, epoch, positions, results, forks)

    async def _where(self, epoch: EpochKey) -> tuple[Positions, list[EpochKey]]:
        """How far the epoch has come, and the epoch itself if it was never heard of."""
        positions = self._positions.get(epoch)
        if positions is not None:
            return positions, []
        found = await self._in_thread(self.log.next_seq, epoch)
        return self._positions.setdefault(epoch, found or {}), [epoch] if found is None else []

    async def _results(
        self, epoch: EpochKey, looked: Sequence[_Looked], appended: Sequence[Appended], forks: set[Stream]
    ) -> list[PartResult]:
        """What became of each part. A stream in which one is a fork is in `forks` afterwards."""
        results: list[PartResult] = []
        answers = iter(appended)
        rolled_back = frozenset(forks)
        for part, verified, refusal in looked:
            verdict = Verdict.REFUSED
            if verified is not None:
                verdict = Verdict.FORK
                if part.stream not in rolled_back:
                    verdict = await self._verdict(epoch, part, verified, next(answers), forks)
            if verdict is Verdict.FORK:
                forks.add(part.stream)
            results.append(PartResult(part.stream, verdict, refusal))
            self.metrics.parts[verdict] += 1
        return results

    async def _verdict(
        self, epoch: EpochKey, part: Part, verified: Verified, appended: Appended, forks: set[Stream]
    ) -> Verdict:
        if appended.taken:
            return Verdict.APPLY
        if part.stream in forks:
            return Verdict.FORK
        verdict = judge(appended.position, part.lo, part.hi, part.prev_crc)
        if verdict is Verdict.DUPLICATE and isinstance(part, Frame):
            key = StreamKey(*epoch, part.stream)
            if not await self._in_thread(is_same, self.log, key, part, verified.batch.last_crc):
                return Verdict.FORK
        return verdict

    def _tell(self, hello: Hello, good: Sequence[Verified], appended: Sequence[Appended]) -> None:
        """Pass on what is new. Nothing here can change what was decided."""
        now = self.fleet.heard(hello, time.time_ns() // 1_000_000)
        news: list[Record] = []
        for (batch, newest), result in zip(good, appended, strict=True):
            if result.taken:
                news += self.fleet.taken(batch.key, batch.next_seq, newest, hello.boot)
                if batch.codec is not None:
                    self.metrics.records[batch.key.stream] += batch.next_seq - batch.first_seq
        news += now.learn(hello.latest, hello.boot)
        now.pace_s = self.hub.pace_s(hello.gateway)
        self.hub.heard(hello.gateway, news)

    async def _reply(
        self, hello: Hello, epoch: EpochKey, positions: Positions, results: Sequence[PartResult], forks: set[Stream]
    ) -> Reply:
        streams: dict[Stream, StreamReply] = {}
        for stream in dict.fromkeys((*hello.streams, *(result.stream for result in results))):
            state = positions.get(stream, StreamState())
            report = hello.streams.get(stream)
            asked: dict[int, int | None] = {}
            if report is not None and report.probes:
                asked = await self._in_thread(crcs, self.log, StreamKey(*epoch, stream), report.probes)
            streams[stream] = StreamReply(state.next_seq, state.last_crc, stream in forks, asked)
        now_ms = time.time_ns() // 1_000_000
        commands = () if hello.earlier else self.commands(hello.gateway)
        return Reply(now_ms, streams, results, commands=commands, pace_s=self.hub.pace_s(hello.gateway))

    async def _in_thread(self, function: Any, *args: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)
        except LogError as error:
            raise ProblemError(503, str(error), headers={"Retry-After": "5"}) from error


def _look(hello: Hello, parts: Sequence[Part]) -> list[_Looked]:
    epoch = EpochKey(hello.gateway, hello.store, hello.epoch)
    looked = []
    for part in parts:
        try:
            looked.append(_Looked(part, verify(epoch, part), ""))
        except RefusedError as error:
            looked.append(_Looked(part, None, str(error)))
    return looked


def _advance(positions: Positions, stream: Stream, state: StreamState) -> None:
    """Answers may overtake each other; a stream only goes forward."""
    if state.next_seq >= positions.get(stream, StreamState()).next_seq:
        positions[stream] = state


def _answer(reply: Reply, held_s: float) -> _Answer:
    """200, or 409 if there is something wrong and nothing was acknowledged: a problem document and a reply in one."""
    verdicts = {result.verdict for result in reply.results}
    fork = any(stream.fork for stream in reply.streams.values())
    body = encode_reply(reply)
    if verdicts & ACKNOWLEDGED or not (verdicts or fork):
        return _Answer(
            200,
            [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"server-timing", b"held;dur=%.1f" % (1000 * held_s)),
            ],
            body,
        )
    detail = "; ".join(
        dict.fromkeys(f"{r.stream}: {r.verdict}{f' ({r.detail})' if r.detail else ''}" for r in reply.results)
    )
    problem = ProblemError(
        409,
        detail or "this store has lost records that are here already",
        remedy="find the last common record and send what follows in a new epoch" if fork else "go on at next_seq",
        **msgspec.json.decode(body),
    )
    return _of_problem(problem)


def _of_problem(problem: ProblemError) -> _Answer:
    response = problem.response()
    return _Answer(response.status_code, response.raw_headers, bytes(response.body))
