"""The values that everything else speaks of: definitions, facts, records, verdicts.

They hold and check, and decide nothing.

Used by every package.
"""
