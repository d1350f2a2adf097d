#!/bin/sh
# Installs the Warren agent that {{ base }} gives out, starts it, and lets this device join.
#
#   sh install.sh INVITE        install, start, join with this invite
#   sh install.sh               install, start, show a code by which somebody lets this device in
#   sh install.sh --uninstall   leave the mesh and remove everything that this script has installed
#
# The work is done in functions, and the last line calls the first of them: half a download does nothing.
set -eu

SERVER='{{ base }}'
VERSION='{{ version }}'
# SHA-256 of the key that the server proves to agents.
SERVER_KEY='{{ server_key }}'
# SHA-256 of the programs; empty where the server has none. They came with this script, so that they decide what is
# installed: who answers the download need not be trusted.
SHA256_X86_64='{{ sha256_x86_64 }}'
SHA256_AARCH64='{{ sha256_aarch64 }}'

PROGRAM=/usr/local/bin/warren
UNIT=/etc/systemd/system/warren.service
STATE=/var/lib/warren
RUN=/run/warren
LOG=/var/log/warren.log

main() {
    case "${1-}" in
    -h | --help) usage ;;
    --uninstall) uninstall ;;
    -*)
        usage >&2
        exit 2
        ;;
    *) install_and_join "${1-}" ;;
    esac
}

usage() {
    cat <<'END'
sh install.sh INVITE        install the Warren agent, start it, join with this invite
sh install.sh               install it, start it, show a code by which somebody lets this device in
sh install.sh --uninstall   leave the mesh and remove everything that this script has installed
END
}

install_and_join() {
    invite=$1
    need_linux
    need_root
    need_tools
    arch=$(architecture)
    case "$arch" in
    x86_64) checksum=$SHA256_X86_64 ;;
    aarch64) checksum=$SHA256_AARCH64 ;;
    *) fail "there is no agent for this machine's processor ($(uname -m)); x86_64 and aarch64 have one" ;;
    esac
    need_tun
    if [ -n "$checksum" ]; then
        install_program "$checksum"
    elif [ -x "$PROGRAM" ]; then
        say "$SERVER has no agent for $arch to give out; keeping the one in $PROGRAM"
        is_new=
    else
        fail "$SERVER has no agent for $arch to give out; its operator puts warren-linux-$arch into the agent directory (agent-dir), or install the agent from a package"
    fi
    start
    wait_for_daemon
    join "$invite"
}

need_linux() {
    [ "$(uname -s)" = Linux ] || fail "the agent runs on Linux, and this is $(uname -s)"
}

need_root() {
    [ "$(id -u)" -eq 0 ] || fail "this needs root: it makes a network interface and a service. Put sudo before sh"
}

need_tools() {
    has curl || has wget || fail "this needs curl or wget"
    has sha256sum || has openssl || fail "this needs sha256sum or openssl, to check what it downloads"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

architecture() {
    case "$(uname -m)" in
    x86_64 | amd64) echo x86_64 ;;
    aarch64 | arm64) echo aarch64 ;;
    *) echo other ;;
    esac
}

need_tun() {
    [ -c /dev/net/tun ] || modprobe tun 2>/dev/null || true
    [ -c /dev/net/tun ] || fail "there is no /dev/net/tun. In a container: --device /dev/net/tun --cap-add NET_ADMIN; on a virtual server: have its operator enable TUN"
}

# Leaves what is there alone if it is the very same program; sets is_new if it is not.
install_program() {
    if [ -x "$PROGRAM" ] && [ "$(sha256 "$PROGRAM")" = "$1" ]; then
        say "warren $VERSION is installed already"
        is_new=
        return
    fi
    say "installing warren $VERSION for $arch into $PROGRAM"
    mkdir -p "$(dirname "$PROGRAM")"
    # beside its place, so that it gets there in one step and a running program is not written over
    draft=$(mktemp "$PROGRAM.XXXXXX")
    trap 'rm -f "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch "$SERVER/dl/warren-linux-$arch" "$draft" || fail "cannot download the agent from $SERVER"
    [ "$(sha256 "$draft")" = "$1" ] || fail "the download is not what $SERVER announced (its SHA-256 differs), so it was thrown away; try again"
    chmod 755 "$draft"
    "$draft" --version >/dev/null 2>&1 || fail "the agent does not run on this system"
    mv -f "$draft" "$PROGRAM"
    trap - EXIT HUP INT TERM
    is_new=yes
}

# Any certificate will do, for the checksum decides; without it a server with a certificate of its own could not be asked.
fetch() {
    if has curl; then
        curl -fsSk --retry 3 --connect-timeout 15 -o "$2" "$1" </dev/null
    else
        wget -q --no-check-certificate -O "$2" "$1" </dev/null
    fi
}

sha256() {
    if has sha256sum; then
        sha256sum "$1" | cut -d ' ' -f 1
    else
        openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
    fi
}

start() {
    if [ -d /run/systemd/system ]; then
        start_service
    else
        start_in_background
    fi
}

start_service() {
    if [ "$(unit)" != "$(cat "$UNIT" 2>/dev/null)" ]; then
        say "installing the service $UNIT"
        unit >"$UNIT"
        chmod 644 "$UNIT"
        systemctl daemon-reload
        is_new=yes
    fi
    systemctl enable --quiet warren.service
    if [ -n "$is_new" ]; then
        systemctl restart warren.service
    else
        systemctl start warren.service
    fi
}

start_in_background() {
    if is_answering; then
        [ -n "$is_new" ] || return 0
        stop_in_background
        ! is_answering || fail "another warren daemon is running, which this script has not started; stop it first"
    fi
    say "there is no systemd here: the agent runs in the background and writes to $LOG, and nothing starts it after a reboot"
    mkdir -p "$RUN"
    nohup "$PROGRAM" daemon </dev/null >>"$LOG" 2>&1 &
    echo $! >"$RUN/installed.pid"
}

stop_in_background() {
    [ -f "$RUN/installed.pid" ] || return 0
    pid=$(cat "$RUN/installed.pid")
    rm -f "$RUN/installed.pid"
    # a number may belong to another program by now
    case "$(readlink "/proc/$pid/exe" 2>/dev/null)" in
    "$PROGRAM"*) kill "$pid" ;;
    *) return 0 ;;
    esac
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 1
    done
    fail "the daemon (process $pid) does not end"
}

# `warren status` ends with 4 when no daemon answers.
is_answering() {
    code=0
    "$PROGRAM" status </dev/null >/dev/null 2>&1 || code=$?
    [ "$code" -ne 4 ]
}

wait_for_daemon() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        ! is_answering || return 0
        sleep 1
    done
    if [ -d /run/systemd/system ]; then
        fail "the daemon does not start; journalctl -u warren says why"
    fi
    tail -n 5 "$LOG" >&2 || true
    fail "the daemon does not start; the last lines of $LOG are above"
}

# The invite goes by standard input: the arguments of a process are everybody's to read.
join() {
    code=0
    if [ -n "$1" ]; then
        printf '%s' "$1" | "$PROGRAM" up --key - || code=$?
    else
        "$PROGRAM" up "$SERVER" --server-key "$SERVER_KEY" </dev/null || code=$?
    fi
    [ "$code" -eq 0 ] && return 0
    printf '%s\n' "warren: the agent is installed and runs, but this device did not join; the reason is above" >&2
    exit "$code"
}

uninstall() {
    need_root
    if [ -x "$PROGRAM" ] && is_answering; then
        "$PROGRAM" logout </dev/null || say "the server could not be told; revoke this device in the dashboard"
    fi
    if [ -d /run/systemd/system ] && [ -f "$UNIT" ]; then
        systemctl disable --now --quiet warren.service
        rm -f "$UNIT"
        systemctl daemon-reload
    else
        rm -f "$UNIT"
        stop_in_background
    fi
    rm -f "$PROGRAM" "$LOG"
    # systemd keeps the state of a service without a user of its own there, and links to it
    rm -rf "$STATE" /var/lib/private/warren "$RUN"
    say "removed: $PROGRAM, its service and $STATE"
}

unit() {
    cat <<'END'
{{ unit }}
END
}

say() {
    printf '%s\n' "warren: $*"
}

fail() {
    printf '%s\n' "warren: $*" >&2
    exit 1
}

main "$@"
