"""Whether another process may write into a folder, as far as its account tells that."""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from reconciler.onhost import procfs
from reconciler.onhost.problem import NO_OBJECTION, Objection

_OVERRIDES = 1 << 1
"""CAP_DAC_OVERRIDE, by which permission bits do not count (capabilities(7))."""

_ACL = "system.posix_acl_access"


class _Account(NamedTuple):
    user: int
    groups: frozenset[int]


def barred(path: str, pid: int, proc: str = "/proc") -> Objection:
    """Tell that a process cannot write into a folder, "" where it may or that is not known."""
    account = _account(pid, proc)
    try:
        if account is None or _may_write(account, os.stat(path)) or _ACL in os.listxattr(path):
            return NO_OBJECTION
    except OSError:
        return NO_OBJECTION
    who = f"user {account.user}, as whom it runs"
    return Objection(f"{path} cannot be written by {who}", f"`chown {account.user} {path}` lets it")


def _account(pid: int, proc: str) -> _Account | None:
    """Read whose files a process makes, None of one that may write everywhere or has ended."""
    told = dict(re.findall(r"^(\w+):\t(.*)$", procfs.text(f"{proc}/{pid}/status"), re.MULTILINE))
    if not told or int(told["CapEff"], 16) & _OVERRIDES:
        return None
    # The last of each is the one that counts for files.
    user, group = (int(told[key].split()[-1]) for key in ("Uid", "Gid"))
    return _Account(user, frozenset({group, *map(int, told["Groups"].split())}))


def _may_write(account: _Account, status: os.stat_result) -> bool:
    if account.user == status.st_uid:
        needed = stat.S_IWUSR | stat.S_IXUSR
    elif status.st_gid in account.groups:
        needed = stat.S_IWGRP | stat.S_IXGRP
    else:
        needed = stat.S_IWOTH | stat.S_IXOTH
    return status.st_mode & needed == needed
