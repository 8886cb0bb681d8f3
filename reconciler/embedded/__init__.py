"""A llama-server look-alike over the xllamacpp wheel: programs started by their path, importing nothing else of ours.

Started by launchers for the engine kind `embedded`; `demo` and the tests make tiny weights with it.
"""
