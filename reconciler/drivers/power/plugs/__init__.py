"""The dialects of smart plugs, one module each: how a make of plug is switched and read over HTTP.

Called by the power driver `plug`.
"""
