"""Make GPU machines match a file in git: which model runs where, and which are switched on.

Started as `reconciler` or `python -m reconciler`, which is `cli`; `app` puts the parts together.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
