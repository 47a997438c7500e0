"""The gateway process: drivers and the local bus in, the store, the local bus and the cloud out. Lean, no pages."""
