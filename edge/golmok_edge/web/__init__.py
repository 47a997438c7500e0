"""What the pages on the gateway share: templates, scripts and styles, and every text in Korean and English."""

from golmok_edge.web.texts import TEXTS, digits, duration, for_script, number, say

__all__ = ["TEXTS", "digits", "duration", "for_script", "number", "say"]
