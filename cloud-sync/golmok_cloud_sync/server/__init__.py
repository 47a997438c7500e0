"""The cloud: takes what gateways send, exactly once, and gives it back.

`golmok-cloud` (`cli.py`) runs it. `BatchLog` is where the truth lies; everything else is derived from it.
"""

from golmok_cloud_sync.server.log import BatchLog
from golmok_cloud_sync.server.sqlite_log import SqliteBatchLog

__all__ = ["BatchLog", "SqliteBatchLog"]
