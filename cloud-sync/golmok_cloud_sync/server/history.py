"""The CRCs of records that came long ago: how both ends find out whether they speak of the same history.

Reads the log and decodes: to be used in a thread of its own. The usual sync needs none of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from golmok_cloud_sync.protocol import Frame, record_crc, void_crc
from golmok_cloud_sync.server.dating import records
from golmok_cloud_sync.server.log import BatchLog, Stored, StreamInfo, StreamKey
from golmok_cloud_sync.server.verify import void_body


def crcs(log: BatchLog, key: StreamKey, seqs: Iterable[int]) -> dict[int, int | None]:
    """The CRC of each of these records; None where it is not known (any more)."""
    found: dict[int, int | None] = dict.fromkeys(seqs)
    info = next((info for info in log.streams(key.gateway, key.stream) if info.key == key), None)
    if 0 in found:
        found[0] = 0
    if info is None:
        return found
    wanted = sorted(seq for seq in found if seq)
    while wanted:
        batch = _holding(log, info, wanted[0])
        if batch is None:
            wanted.pop(0)
            continue
        here = [seq for seq in wanted if seq < batch.next_seq]
        found.update(_crcs_in(batch, key, here))
        wanted = wanted[len(here) :]
    return found


def is_same(log: BatchLog, key: StreamKey, frame: Frame, last_crc: int) -> bool:
    """Whether `frame`, all of which is here already, is what is here: by the record before it and its last one.

    What is not kept any more cannot speak against it.
    """
    told = {frame.lo - 1: frame.prev_crc, frame.hi - 1: last_crc}
    here = crcs(log, key, told)
    return all(crc is None or here[seq] in (None, crc) for seq, crc in told.items())


def _holding(log: BatchLog, info: StreamInfo, seq: int) -> Stored | None:
    for batch in log.read(info.id, seq, 1):
        if batch.first_seq <= seq < batch.next_seq:
            return batch
    return None


def _crcs_in(batch: Stored, key: StreamKey, seqs: list[int]) -> dict[int, int | None]:
    if seqs == [batch.next_seq - 1]:
        return {seqs[0]: batch.last_crc}
    if batch.codec is None:
        reason = void_body(batch).reason
        return {seq: void_crc(key.stream, seq, reason) for seq in seqs}
    here = records(batch)
    return {seq: record_crc(here[seq - batch.first_seq]) if here else None for seq in seqs}
