"""Effects, one a file: how each kind of step acts, through ports alone. They decide nothing.

Called by loop/step_run, which looks before and afterwards.
"""
