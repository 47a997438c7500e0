"""The technician's tools."""
