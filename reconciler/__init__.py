"""Keep a local-LLM GPU stack the way a file in git says it should be."""

__version__ = "0.1.0"
__all__ = ["__version__"]
