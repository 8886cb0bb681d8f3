"""Load on the gateway: many clients ask while models switch, and every answer is accounted for.

`run_load` (tests/load/run) gives a ledger; `faults` (tests/load/checker) judges it.
"""
