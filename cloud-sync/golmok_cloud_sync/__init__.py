"""From a gateway's outbox to the cloud's log, exactly once: protocol (pure), client and server."""
