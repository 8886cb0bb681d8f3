"""Given command: the command line of a unit that exists already, as its program reads it."""

from reconciler.model.names import Value


class GivenCommand(Value):
    """What a service or a container runs, and as whom.

    `words` are its command line and `variables` those of its environment that stand for flags, in
    the program's own spelling; relative paths begin at `directory`. `reached` are the folders of
    which the host has the files, `read_only` those in which it writes none. `user` is whose its
    files are, empty where that is no obstacle. `adding` is a sentence about how words are added at
    the end, which ends where these are to be named. `apart` says that its network is its own,
    `problem` why the words are not known, `absent` that there is no unit yet. `pid` is its first
    process, 0 where none runs or that is not told.
    """

    words: tuple[str, ...] = ()
    variables: dict[str, str] = {}
    directory: str = "/"
    reached: tuple[str, ...] = ("/",)
    read_only: tuple[str, ...] = ()
    user: str = ""
    adding: str = ""
    apart: bool = False
    problem: str = ""
    absent: bool = False
    pid: int = 0
