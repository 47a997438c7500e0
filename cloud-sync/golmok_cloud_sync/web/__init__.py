"""What the operator's page and the owner's page share: colours, the chart, the live connection, languages, headers.

It knows no web framework, no gateway and no server; both pages build on it and it builds on nothing.
"""

from golmok_cloud_sync.web.assets import Asset, assets
from golmok_cloud_sync.web.headers import SECURITY_HEADERS
from golmok_cloud_sync.web.language import COOKIE, COOKIE_AGE_S, LANGUAGES, Language, choose, is_language
from golmok_cloud_sync.web.words import (
    FALSE,
    QUANTITIES,
    REASONS,
    TRUE,
    UNITS,
    Words,
    quantity,
    reason,
    states,
    table,
    unit,
)

__all__ = [
    "COOKIE",
    "COOKIE_AGE_S",
    "FALSE",
    "LANGUAGES",
    "QUANTITIES",
    "REASONS",
    "SECURITY_HEADERS",
    "TRUE",
    "UNITS",
    "Asset",
    "Language",
    "Words",
    "assets",
    "choose",
    "is_language",
    "quantity",
    "reason",
    "states",
    "table",
    "unit",
]
