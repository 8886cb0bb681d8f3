"""Keep a local-LLM GPU stack the way a file in git says it should be."""
