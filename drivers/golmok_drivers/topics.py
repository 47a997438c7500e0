"""MQTT topic filters: which are right, and what they match (MQTT 5, section 4.7)."""

from __future__ import annotations


def check_filter(topic: str) -> str:
    """Give back a right topic filter, else raise a ValueError that says what is wrong."""
    levels = topic.split("/")
    if not topic or "\0" in topic or len(topic.encode()) > 65_535:
        raise ValueError("a topic has 1 to 65535 bytes and no NUL")
    if "#" in topic and (levels[-1] != "#" or topic.count("#") > 1):
        raise ValueError(f"{topic!r}: # may only stand alone at the end, as in tele/#")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError(f"{topic!r}: + stands for a whole level, as in tele/+/SENSOR")
    return topic


def topic_matches(topic_filter: str, topic: str) -> bool:
    """Whether a message to `topic` is for a subscription to `topic_filter`."""
    if topic[:1] == "$" and topic_filter[:1] in ("+", "#"):
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        levels = levels[: len(wanted)] if len(levels) >= len(wanted) else levels
    return len(wanted) == len(levels) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))
