"""Keep a local-LLM GPU stack the way a file in git says it should be.

Started as `reconciler` or `python -m reconciler`, which is `cli`; `app` puts the parts together.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
