"""The programs that light hosts have in place of those that would act on this machine."""

from __future__ import annotations

from pathlib import Path

from tests.rigs.hostrig import ethtool

FOLDER = "usr/sbin"
REQUESTS = "etc/hostrig/requests"

LOGIN = """\
#!/bin/sh
# What every login runs first: the home is the host's own, and a slow host takes its time.
cd "$HOME" || exit
[ ! -e '{root}/etc/hostrig/ssh_slow' ] || sleep "$(cat '{root}/etc/hostrig/ssh_slow')"
[ -n "$SSH_ORIGINAL_COMMAND" ] || exec "$SHELL" -l
command=$SSH_ORIGINAL_COMMAND
unset SSH_ORIGINAL_COMMAND OLDPWD
exec "$SHELL" -c "$command"
"""

SUDO = """\
#!/bin/sh
# The user of a light host is its root already; an absolute path must not reach the power commands
# of this machine.
list=
while :; do
    case "$1" in
    -n | --non-interactive | --) shift ;;
    -l | --list) list=1; shift ;;
    -u) shift 2 ;;
    *) break ;;
    esac
done
word=$1
own='{root}/{folder}'/${{word##*/}}
[ ! -x "$own" ] || word=$own
command -v "$word" >/dev/null || {{ echo "sudo: $1: command not found" >&2; exit 1; }}
shift
[ -z "$list" ] || {{ echo "$(command -v "$word")" "$@"; exit 0; }}
exec "$word" "$@"
"""

POWER = """\
#!/bin/sh
# Ask the rig, which is this host's mains and its init.
ask() {{ echo "$1" >'{root}/{requests}'; exit 0; }}
words="${{0##*/}} $*"
case " $words " in
*' reboot '* | ' shutdown '*' -r '*) ask reboot ;;
' shutdown '*' -c '* | ' shutdown '*' -k '*) exit 0 ;;
*' poweroff '* | *' halt '* | ' shutdown '*) ask poweroff ;;
*' suspend '* | *' hibernate '*)
    echo 'Call to Suspend failed: Sleep verb "suspend" not supported' >&2
    exit 1 ;;
esac
echo 'System has not been booted with systemd as init system (PID 1). Can'"'"'t operate.' >&2
exit 1
"""

POWER_COMMANDS = (
    "systemctl",
    "loginctl",
    "poweroff",
    "shutdown",
    "reboot",
    "halt",
    "init",
    "telinit",
    "rtcwake",
)


def programs(root: Path) -> dict[str, str]:
    """Return the text of each program by its name, for the host whose disk is at this folder."""
    power = POWER.format(root=root, requests=REQUESTS)
    return {
        **dict.fromkeys(POWER_COMMANDS, power),
        "login": LOGIN.format(root=root),
        "sudo": SUDO.format(root=root, folder=FOLDER),
        "ethtool": ethtool.source(f"{root}/{ethtool.SETTING}", privileged="true", known="true"),
    }
