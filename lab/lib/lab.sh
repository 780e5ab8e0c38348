# What every scenario sources: the other files of this folder, and what happens when something fails.
# shellcheck shell=bash
set -Eeuo pipefail
shopt -s inherit_errexit

LAB_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_REPO=$(cd "$LAB_LIB/../.." && pwd)
# The folder with p2pusbd, p2pusb and lab-tool.
LAB_BIN=${LAB_BIN:-$LAB_REPO/target/debug}
PATH=$LAB_BIN:$PATH
LAB_STARTED=$EPOCHREALTIME
LAB_FAILED_AT=

# A pager or a colour has no place in a guest.
export SYSTEMD_PAGER='' SYSTEMD_COLORS=0

. "$LAB_LIB/assert.sh"
. "$LAB_LIB/machine.sh"
. "$LAB_LIB/net.sh"
. "$LAB_LIB/nat.sh"
. "$LAB_LIB/hosts.sh"
. "$LAB_LIB/bus.sh"
. "$LAB_LIB/daemon.sh"
. "$LAB_LIB/relay.sh"
. "$LAB_LIB/gadgets.sh"
. "$LAB_LIB/disk.sh"
. "$LAB_LIB/udev.sh"
. "$LAB_LIB/simulated.sh"
. "$LAB_LIB/watch.sh"
. "$LAB_LIB/clock.sh"
. "$LAB_LIB/load.sh"

# step TEXT... says what comes next.
step() {
    printf '== %6.2f s  %s\n' "$(seconds_since "$LAB_STARTED")" "$*"
}

# seconds_since MOMENT, where MOMENT is an earlier $EPOCHREALTIME.
seconds_since() {
    awk -v now="$EPOCHREALTIME" -v then="$1" 'BEGIN { printf "%.3f", now - then }'
}

# Runs when the scenario ends: on failure shows what there is to know.
lab_report() {
    local status=$1 log
    trap - EXIT ERR
    if ((status == 0)); then
        step "done: ${0##*/}"
    else
        printf '\n== FAILED (status %s) %s\n' "$status" "$LAB_FAILED_AT"
        for log in "$LAB_HOSTS"/*/daemon.log; do
            if [[ -e $log ]]; then
                printf '\n== %s\n' "$log"
                tail -n 200 "$log"
            fi
        done
        printf '\n== kernel log\n'
        dmesg | tail -n 80
        daemons_stop_all
        if [[ ${LAB_SHELL:-} == yes ]]; then
            printf '\n== a shell in the guest, as it is now; its end is the guest'"'"'s end\n'
            bash -i || true
        fi
    fi
    exit "$status"
}

# Remembers the place of the first failure with the way there.
lab_failed() {
    local frame
    if [[ -z $LAB_FAILED_AT ]]; then
        LAB_FAILED_AT="in '$1'"
        for ((frame = 1; frame < ${#BASH_SOURCE[@]}; frame++)); do
            LAB_FAILED_AT+=$'\n'"     at ${BASH_SOURCE[frame]##*/}:${BASH_LINENO[frame - 1]}"
        done
    fi
}

# What the kernel said while it booted is of no interest when something fails.
dmesg --clear
trap 'lab_report $?' EXIT
trap 'lab_failed "$BASH_COMMAND"' ERR
