"""Benchmarks, one module each: `python -m bench.NAME` prints figures for a person, with `--json` one JSON document.

`scripts/bench` runs them one after the other. Ratios are measured within one run; speed never fails a test.
"""
