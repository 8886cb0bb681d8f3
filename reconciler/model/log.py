"""What a unit wrote, in parts."""

from reconciler.model.names import Value


class LogPart(Value):
    """Lines that a unit wrote. Asked again with `end`, its launcher tells what came after."""

    lines: tuple[str, ...] = ()
    end: str = ""
