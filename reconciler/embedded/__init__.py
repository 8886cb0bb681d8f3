"""A llama-server look-alike over the xllamacpp wheel: programs that import nothing else of ours.

Started by their path, by launchers for the engine kind `embedded`; `demo` and the tests make tiny
weights with it.
"""
