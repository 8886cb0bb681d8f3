"""Everything that must happen on a host itself: the same source runs on local and remote ones.

Standard library only, Python 3.9 or later, and nothing of the rest of the package:
`bundle.source()` makes one text of it that another machine's interpreter runs. `serve.answer` takes
one request and gives `{"ok": {...}}` or `{"error": "sentence"}`.

Called by drivers/access: `local` in a thread, `ssh` in a `python3 -I` there.
"""
