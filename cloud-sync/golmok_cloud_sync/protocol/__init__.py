"""How records travel to the cloud, as bytes and decisions only: no I/O, no clock."""

from .cas import ACKNOWLEDGED, FIRST_SEQ, ForkSearch, StreamState, Verdict, is_rolled_back, judge
from .clock import Anchor, Anchors
from .codec import CodecError, TooLargeError, decode, decode_columns, encode
from .columns import MAX_COUNT, Columns
from .frame import Frame, Part, Void, frame
from .record import STREAMS, Quality, Record, RecordError, Stream, Value, canonical, check, record_crc, void_crc
from .sync import (
    CONTENT_TYPE,
    MAX_REQUEST,
    Hello,
    PartResult,
    ProtocolError,
    Reply,
    StreamReply,
    StreamReport,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)

__all__ = [
    "ACKNOWLEDGED",
    "CONTENT_TYPE",
    "FIRST_SEQ",
    "MAX_COUNT",
    "MAX_REQUEST",
    "STREAMS",
    "Anchor",
    "Anchors",
    "CodecError",
    "Columns",
    "ForkSearch",
    "Frame",
    "Hello",
    "Part",
    "PartResult",
    "ProtocolError",
    "Quality",
    "Record",
    "RecordError",
    "Reply",
    "Stream",
    "StreamReply",
    "StreamReport",
    "StreamState",
    "TooLargeError",
    "Value",
    "Verdict",
    "Void",
    "canonical",
    "check",
    "decode",
    "decode_columns",
    "decode_reply",
    "decode_request",
    "encode",
    "encode_reply",
    "encode_request",
    "frame",
    "is_rolled_back",
    "judge",
    "record_crc",
    "void_crc",
]
