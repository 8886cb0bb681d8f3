"""What the command line can be asked for, one verb a file: coroutines that return documents.

Called by cli/dispatch, in an event loop that the command line owns.
"""
