"""The dialects that smart plugs speak, one module each."""
