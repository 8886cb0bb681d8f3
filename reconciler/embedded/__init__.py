"""A llama-server look-alike over the xllamacpp wheel: programs started by their path, importing nothing of ours."""
