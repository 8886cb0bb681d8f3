"""The stand-in for ethtool that is a part of the simulated card.

Neither a veth nor a loopback address has a Wake-on setting, so hosts find this program where the
real one would be. The setting that it shows and changes is a file on the host's disk, and the rig's
card obeys that file.
"""

from __future__ import annotations

SETTING = "etc/hostrig/wake-on"

ARMED, DISARMED = "g", "d"

_PROGRAM = """\
#!/bin/sh
# Part of a simulated network card: the real card's Wake-on setting is the file $setting.
setting='{setting}'
privileged() {{ {privileged}; }}
refused() {{ echo 'netlink error: Operation not permitted' >&2; }}
known() {{
    {known} && return
    echo 'netlink error: no device matches name (offset 24)' >&2
    echo 'netlink error: No such device' >&2
    exit 1
}}
case "$1" in
-s | --change)
    known "$2"
    [ "$3" = wol ] || {{ echo "ethtool: bad command line argument(s)" >&2; exit 1; }}
    privileged || {{ refused; exit 1; }}
    case "$4" in
    g | d) echo "$4" >"$setting" ;;
    *) echo 'netlink error: Invalid argument' >&2; exit 1 ;;
    esac ;;
-* | '') echo 'ethtool: bad command line argument(s)' >&2; exit 1 ;;
*)
    known "$1"
    printf 'Settings for %s:\\n' "$1"
    printf '\\tSpeed: 2500Mb/s\\n\\tDuplex: Full\\n\\tAuto-negotiation: on\\n'
    if privileged; then
        printf '\\tSupports Wake-on: pumbg\\n\\tWake-on: %s\\n' "$(cat "$setting")"
    else
        refused
    fi
    printf '\\tLink detected: yes\\n' ;;
esac
"""


def source(setting: str, privileged: str, known: str) -> str:
    """The program: where its setting is, and shell commands for who may see it and which cards."""
    return _PROGRAM.format(setting=setting, privileged=privileged, known=known)
