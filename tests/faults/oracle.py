"""Judges what the cloud holds by what the harness saw: every record a source was told "taken", and every hole.

It shares no code with the product, and its verdicts are these:

* **lost**: a record that was taken, or that the broker still had to deliver, and that is not there.
* **doubled**: a record that is there more than once.
* **wrong**: a record that differs in value, type, unit or quality; that stands before an earlier one of its channel;
  that nobody said; or whose time is wrong. A time may be off by 1 s (and by what this machine stood still).
  It may be unknown only where the message carries none itself and either had waited at the broker or was taken in a
  boot that nobody told the time.
* **unnamed_gaps**: a hole in a channel, or messages lost with the broker, that no line of the gap ledger covers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from .cloud_api import GapLine, Row
from .holes import covered, holes
from .notes import Given, Key, Message, Notes
from .sources import QUANTITIES, WITNESS, number_in
from .stalls import Stalls

Verdict = Literal["lost", "doubled", "wrong", "unnamed_gaps"]
VERDICTS: Final[tuple[Verdict, ...]] = ("lost", "doubled", "wrong", "unnamed_gaps")
TOLERANCE_S: Final = 1.0
_PLACES: Final = {quantity: place for place, quantity in enumerate(QUANTITIES)}
_BROKER: Final = frozenset({"broker", "off"})
"""What a gap may be called in which messages were lost with the broker: the gateway may have been off, too."""
_NOT_HEARD: Final = frozenset({"flood"})
_DAMAGED: Final = frozenset({"quarantined", "damaged"})


class Finding(NamedTuple):
    """Something that is not as promised; `records`, or gaps."""

    verdict: Verdict
    text: str
    records: int = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that is known of one gateway."""

    gateway: str
    lives: Sequence[Notes]
    """What was noted of the gateway, then of those who had a copy of its card."""
    limits: Mapping[str, float]
    """For each device, how long a hole needs no name."""
    began_at: float
    ended_at: float
    rows: Sequence[Row]
    gaps: Sequence[GapLine]
    stalls: Stalls = field(default_factory=lambda: Stalls(is_watching=False))

    @property
    def has_unknown_boot(self) -> bool:
        """Whether nobody told the time in some boot, so that a gap may have an end without a time."""
        return any(not boot.knows for notes in self.lives for boot in notes.boots)


class _Block(NamedTuple):
    """Where the records of one message stand."""

    store: str
    epoch: str
    device: str
    seq: int


@dataclass
class Judgement:
    """What came of a case."""

    records: int = 0
    """Compared, and found as they should be."""
    quarantined: int = 0
    """Destroyed with a damaged medium, and counted in the ledger as such."""
    findings: list[Finding] = field(default_factory=list)

    def total(self, verdict: Verdict) -> int:
        """Records, or gaps, of that verdict."""
        return sum(one.records for one in self.findings if one.verdict == verdict)


def judge(case: Case) -> Judgement:
    """All findings of a case."""
    done = Judgement()
    said = {key: message for notes in case.lives for key, message in notes.messages.items()}
    devices = {key.device for key in said} | {device for device in case.limits if device not in _parts(case)}
    found: dict[Key, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for key, row in _named(case, devices, done):
        found[key][row.channel.partition(".")[2]].append(row)
    times: dict[str, list[float]] = defaultdict(list)
    missing: dict[str, list[Message]] = defaultdict(list)
    for key, message in said.items():
        for quantity in message.values:
            channel, rows = f"{key.device}.{quantity}", found.get(key, {}).get(quantity, [])
            if rows:
                if message.values[quantity] is not None:  # a gap is a time without values
                    times[channel].append(message.sent_at)
                done.records += 1
                _compare(case, channel, message, quantity, rows, done)
            elif message.taken_at or message.accepted_at:
                missing[channel].append(message)
    for key in found.keys() - said.keys():
        done.findings.append(Finding("wrong", f"{key.device} {key.n}: nobody said this", len(found[key])))
    _judge_order(case, found, done)
    _judge_missing(case, missing, done)
    _judge_parts(case, times, done)
    _judge_numbers(case, done)
    _judge_holes(case, times, done)
    return done


def _named(case: Case, devices: set[str], done: Judgement) -> Iterator[tuple[Key, Row]]:
    """Each row of a device on the local bus with the message it belongs to, as most of its neighbours say."""
    blocks: dict[_Block, list[Row]] = defaultdict(list)
    for row in case.rows:
        device, _, quantity = row.channel.partition(".")
        if device in devices and quantity in _PLACES:
            blocks[_Block(row.store, row.epoch, device, row.seq - _PLACES[quantity])].append(row)
        elif device not in case.limits:
            done.findings.append(Finding("wrong", f"{row.channel}: there is no such channel"))
    known = {block: number for block, rows in blocks.items() if (number := _number(rows)) is not None}
    for block, rows in blocks.items():
        number = known.get(block, _number_before(block, known))
        if number is None:
            text = f"{block.device} at seq {block.seq} of epoch {block.epoch}: {[row.value for row in rows]}"
            done.findings.append(Finding("wrong", f"{text}: nobody said this", len(rows)))
            continue
        for row in rows:
            yield Key(block.device, number), row


def _number(rows: Sequence[Row]) -> int | None:
    """The number that most of a message's values tell."""
    told = [number_in(row.channel.partition(".")[2], row.value) for row in rows]
    numbers = Counter(number for number in told if number is not None)
    return numbers.most_common(1)[0][0] if numbers else None


def _number_before(block: _Block, known: Mapping[_Block, int]) -> int | None:
    """The number of a message of which only values are left that do not tell it: one less than the next one's."""
    after = [(at.seq, number) for at, number in known.items() if at[:3] == block[:3] and at.seq > block.seq]
    return min(after)[1] - 1 if after else None


def _compare(case: Case, channel: str, message: Message, quantity: str, rows: Sequence[Row], done: Judgement) -> None:
    if len(rows) > 1:
        places = ", ".join(f"seq {row.seq} of epoch {row.epoch}" for row in rows)
        done.findings.append(Finding("doubled", f"{channel} {message.key.n}: {places}", len(rows) - 1))
    for row in rows:
        wanted, unit = message.values[quantity], QUANTITIES[quantity]
        if type(row.value) is not type(wanted) or row.value != wanted:
            text = f"{channel} {message.key.n}: {row.value!r} of type {type(row.value).__name__}, not {wanted!r}"
            done.findings.append(Finding("wrong", text))
        if (row.unit or "1") != unit or row.quality != "good":
            text = f"{channel} {message.key.n}: unit {row.unit!r}, quality {row.quality}"
            done.findings.append(Finding("wrong", text))
        if why := wrong_time(message, row, case.stalls):
            done.findings.append(Finding("wrong", f"{channel} {message.key.n}: {why}"))


def wrong_time(message: Message, row: Row, stalls: Stalls) -> str:
    """What is wrong with the time of a record; empty if nothing is."""
    if message.stated_ms is not None:
        is_right = row.ts is not None and abs(row.ts - message.stated_ms / 1000) < 0.0015
        return "" if is_right else f"time {row.ts}, but it says itself {message.stated_ms / 1000}"
    fresh = [one for one in message.deliveries if one.is_fresh]
    if row.ts is not None:
        if not fresh:
            return f"time {row.ts}, but it had waited for who knows how long (it was {message.sent_at})"
        until = max(one.at for one in fresh)
        if _is_about(row.ts, message.sent_at, until, stalls):
            return ""
        return f"time {row.ts}, but it was {message.sent_at} to {until}"
    may_be_unknown = not fresh or len(fresh) < len(message.deliveries) or any(not d.boot.knows for d in fresh)
    if not may_be_unknown:
        return f"time unknown, but it had not waited (it was {message.sent_at}) and the time was known in that boot"
    arrived = max((one.at for one in message.deliveries), default=message.taken_at or message.sent_at)
    is_before = row.ts_max is not None and not _is_about(row.ts_max, message.sent_at, float("inf"), stalls)
    is_after = row.ts_min is not None and not _is_about(row.ts_min, 0.0, arrived, stalls)
    return f"time between {row.ts_min} and {row.ts_max}, but it was {message.sent_at}" if is_before or is_after else ""


def _is_about(ts: float, begin: float, end: float, stalls: Stalls) -> bool:
    """Whether a time lies between two moments, or as little beside them as may be."""
    if begin <= ts <= end:
        return True
    nearest = begin if ts < begin else end
    return abs(ts - nearest) <= TOLERANCE_S + stalls.between(ts, nearest)


def _judge_order(case: Case, found: Mapping[Key, Mapping[str, Sequence[Row]]], done: Judgement) -> None:
    """First appearances of a channel's records must stand in the order in which their source said them."""
    place = {id(row): at for at, row in enumerate(case.rows)}
    for notes in case.lives:
        lines: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for key in notes.messages:
            for quantity, rows in found.get(key, {}).items():
                lines[f"{key.device}.{quantity}"].append((place[id(rows[0])], key.n))
        for channel, line in lines.items():
            line.sort()
            latest = -1
            for _, n in line:
                if n < latest:
                    done.findings.append(Finding("wrong", f"{channel} {n} stands behind {latest}"))
                latest = max(latest, n)


def _judge_missing(case: Case, missing: Mapping[str, Sequence[Message]], done: Judgement) -> None:
    """Taken and not there: lost, unless a damaged medium's loss is counted. Lost with the broker: named, or not.

    Where nobody can tell what was destroyed, the ledger must say how many numbers that were (`pool`), or, where
    nobody can count it either, from when to when that was.
    """
    pool = sum(
        gap.seq_end - gap.seq + 1
        for gap in case.gaps
        if gap.reason in _DAMAGED and gap.stream == "readings" and not gap.counts
    )
    for channel, messages in missing.items():
        damaged = [gap for gap in case.gaps if gap.reason in _DAMAGED]
        destroyed = sum(gap.counts.get(channel) or 0 for gap in damaged)
        unbounded = replace(case, gaps=[gap for gap in damaged if gap.counts.get(channel) is None])
        lost: list[Message] = []
        unnamed: list[Message] = []
        for message in messages:
            if message.taken_at is None and message.may_be_lost_with_broker:
                is_said = message.values[channel.partition(".")[2]] is not None  # no value leaves no hole
                if is_said and not covered(case, channel, message.sent_at, message.sent_at, _BROKER):
                    unnamed.append(message)
            elif not (message.taken_at or message.deliveries) and covered(
                case, f"{message.key.device}.{WITNESS}", message.sent_at, message.sent_at, _NOT_HEARD
            ):
                continue  # the gateway had stopped listening to that device, and says so
            elif destroyed > 0 or covered(unbounded, channel, message.sent_at, message.sent_at):
                destroyed -= 1
                done.quarantined += 1
            elif pool > 0:
                pool -= 1
                done.quarantined += 1
            else:
                lost.append(message)
        for message in lost:
            state = f"taken at {message.taken_at}" if message.taken_at else f"accepted at {message.accepted_at}"
            ways = ", ".join(f"{d.at:.3f} {'fresh' if d.is_fresh else 'late'}" for d in message.deliveries) or "never"
            text = f"{channel} {message.key.n}, said at {message.sent_at:.3f}, delivered {ways}, {state}: not there"
            done.findings.append(Finding("lost", text))
        if unnamed:
            span = f"{unnamed[0].sent_at} to {unnamed[-1].sent_at}"
            text = f"{channel}: {len(unnamed)} messages of {span} were lost with the broker, and no gap says so"
            done.findings.append(Finding("unnamed_gaps", text))


def _parts(case: Case) -> set[str]:
    return {one.channel.partition(".")[0] for notes in case.lives for one in notes.given}


def _judge_parts(case: Case, times: dict[str, list[float]], done: Judgement) -> None:
    """What is there of a wired part must be what it gave, in order and once; what it gave may be lost with a kill."""
    given: dict[str, list[Given]] = defaultdict(list)
    for notes in case.lives:
        for one in notes.given:
            given[one.channel].append(one)
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in case.rows:
        if row.channel in given and row.value is not None:
            rows[row.channel].append(row)
    for channel, ones in rows.items():
        at = 0
        for row in ones:
            match = next((i for i in range(at, len(given[channel])) if _is_it(given[channel][i], row, case)), None)
            if match is None:
                same = [one.at for one in given[channel] if one.value == row.value]
                text = f"{channel} {row.value!r} at {row.ts} (seq {row.seq}): given at {same}, or it is there twice"
                done.findings.append(Finding("wrong", text))
                continue
            at = match + 1
            done.records += 1
            times[channel].append(given[channel][match].at)


def _is_it(one: Given, row: Row, case: Case) -> bool:
    if type(one.value) is not type(row.value) or one.value != row.value:
        return False
    if row.ts is None:
        return not one.boot.knows
    return _is_about(row.ts, one.at, one.at, case.stalls)


def _judge_numbers(case: Case, done: Judgement) -> None:
    """Every number of an epoch is a record or part of a void."""
    numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in case.rows:
        numbers[row.store, row.epoch].add(row.seq)
    for gap in case.gaps:
        if gap.stream == "readings":
            numbers[gap.store, gap.epoch].update(range(gap.seq, gap.seq_end + 1))
    for (store, epoch), seqs in numbers.items():
        absent = max(seqs, default=0) - len(seqs)
        if absent:
            text = f"{absent} numbers of store {store}, epoch {epoch} are neither records nor void"
            done.findings.append(Finding("lost", text, absent))


def _judge_holes(case: Case, times: Mapping[str, list[float]], done: Judgement) -> None:
    for channel, moments in times.items():
        limit_s = case.limits[channel.partition(".")[0]]
        # What was destroyed stood somewhere between its ends: beside it there may have been no silence of the length.
        destroyed = [gap for gap in case.gaps if gap.reason in _DAMAGED and gap.is_of(channel)]
        ends = [end for gap in destroyed for end in (gap.begin, gap.end) if end is not None]
        for begin, end in holes(sorted([*moments, *ends]), limit_s + TOLERANCE_S, case.began_at, case.ended_at):
            if not covered(case, channel, begin, end):
                when = f"from {begin - case.began_at:.1f} s on, until {case.ended_at - end:.1f} s before the end"
                text = f"{channel}: nothing for {end - begin:.1f} s, {when}, and no gap says so"
                done.findings.append(Finding("unnamed_gaps", text))
