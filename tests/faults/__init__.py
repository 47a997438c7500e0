"""The fault harness: real programs, real faults, and an oracle that shares no code with them.

`scripts/faults --help` says how to run it; `plan.py` which faults there are; `oracle.py` what is wrong when.
"""
