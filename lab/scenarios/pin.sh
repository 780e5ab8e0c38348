#!/bin/bash
# title: a PIN: wrong, right, locked out, right after the time; restarts and plugs need none; it is nowhere to be seen
# machines: uml
# init: systemd
# clock: real
# timeout: 500
# needs: P2PUSB_DEB
. "${0%/*}/../lib/lab.sh"

[[ -f ${P2PUSB_DEB:-} ]] || fail 'P2PUSB_DEB has to name the package (cargo xtask deb builds it)'

# No program is ever given these as arguments, this one's children included: what is looked for, everywhere, is in a file.
PIN='73905518 kestrel'
WRONG='84016629 kestrel'
PATTERNS=/run/pin-patterns
printf '%s\n' "${PIN% *}" "${WRONG% *}" kestrel >"$PATTERNS"
# Both daemons log all that they ever do.
export P2PUSB_LOG=info,p2pusbd=trace

# right HOST VERB..., wrong HOST VERB...: p2pusb on a host, which reads a PIN from standard input.
right() {
    printf '%s\n' "$PIN" | on "$1" p2pusb "${@:2}" --pin-file -
}
wrong() {
    printf '%s\n' "$WRONG" | on "$1" p2pusb "${@:2}" --pin-file -
}

# typed HOST ANSWERS VERB...: p2pusb on a terminal of its own, where the right PIN is typed so many times. What the terminal
# has shown is left in $screen.
typed() {
    local host=$1 answers=$2 number status=0
    shift 2
    rm -f /run/keyboard /run/screen
    mkfifo /run/keyboard
    on "$host" script --quiet --flush --return --command "p2pusb $*" /dev/null </run/keyboard >/run/screen &
    exec 9>/run/keyboard
    for ((number = 1; number <= answers; number++)); do
        wait_for 10 'a question' questions "$number"
        printf '%s\n' "$PIN" >&9
    done
    wait $! || status=$?
    exec 9>&-
    screen=$(</run/screen)
    echo "   $screen"
    return "$status"
}

# questions NUMBER: so many were asked on the terminal.
questions() {
    [[ $(grep -aoE '(PIN for [^:]*|The same again): ' /run/screen | wc -l) == "$1" ]]
}

# unseen WHAT FILE...: none of the PINs is in these files, or in what is below them.
unseen() {
    local what=$1 found
    shift
    found=$(grep -ralF -f "$PATTERNS" -- "$@" || true)
    expect_equal "files with a PIN among $what" '' "$found"
}

# Looks at the arguments and the environment of every process, over and over, while p2pusb is among them.
watch_processes() {
    # Processes come and go meanwhile.
    while [[ ! -e /run/watched-enough ]]; do
        grep -laF -f "$PATTERNS" /proc/[0-9]*/{cmdline,environ} 2>/dev/null >>/run/exposed || true
        grep -lx p2pusb /proc/[0-9]*/comm 2>/dev/null >>/run/watched || true
        sleep 0.2
    done
}

# monitor HOST keeps whatever anybody says on the bus of a host, byte by byte.
monitor() {
    on "$1" busctl capture >"/run/bus-$1" 2>/dev/null &
    wait_for 10 "the bus of $1 is listened to" test -s "/run/bus-$1"
}

# logged_on_a: what the daemon of the package said.
logged_on_a() {
    journalctl --sync
    journalctl --quiet --no-pager --output=export _SYSTEMD_UNIT=p2pusbd.service
}

b_is() {
    local object
    object=$(attachments B)
    [[ -n $object && $(bus_get B "$object" Attachment State) == "$1" ]]
}

step 'A, the package under systemd, shares a disk with a PIN; B is paired'
host_machine A
dpkg --install "$P2PUSB_DEB"
mkdir -p /etc/systemd/system/p2pusbd.service.d
printf '[Service]\nEnvironment=P2PUSB_LOG=%s\n' "$P2PUSB_LOG" >/etc/systemd/system/p2pusbd.service.d/lab.conf
gadget_disk disk 16M
usb=$(device_path disk)
systemctl enable --now p2pusbd
host_start B importer
pair A B
for host in A B; do monitor "$host"; done
watch_processes &
watcher=$!
expect_match 'p2pusb share' 'who know its PIN' "$(right A share "$usb")"
expect_match 'p2pusb status' 'every paired peer, with a PIN' "$(on A p2pusb status)"
share=$(bus_objects A shares)
expect_equal 'PinProtected' true "$(bus_get A "$share" Share PinProtected)"
wait_for 10 'B is offered the disk' offered B A 'Lab disk'

step 'none, wrong ones, and the right one while nothing is looked at'
expect_failure 6 'Lab disk of host-a asks for a PIN' on B p2pusb attach 'Lab disk' </dev/null
expect_match 'what to do about it' '--pin-file FILE' "$failure"
expect_failure 6 'not the PIN of Lab disk of host-a: 2 tries are left' wrong B attach 'Lab disk'
expect_failure 6 '1 try is left' wrong B attach 'Lab disk'
expect_failure 6 'looked at in [56][0-9] seconds' wrong B attach 'Lab disk'
locked=$EPOCHREALTIME
expect_failure 6 'takes no PIN now' right B attach 'Lab disk'
# Neither a new connection nor a new process of B makes a difference.
daemon_stop B
daemon_start B
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
expect_failure 6 'takes no PIN now' right B attach 'Lab disk'
expect_failure 6 'takes no PIN now' on B p2pusb attach 'Lab disk' </dev/null
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"

step 'the minute is over: the right one, typed on a terminal'
sleep "$(awk -v past="$(seconds_since "$locked")" 'BEGIN { print 61 - past }')"
typed B 1 attach \'Lab disk\'
expect_match 'what the terminal shows' 'PIN for .*Lab disk of host-a: .*Attached' "$(tr '\r\n' '  ' <<<"$screen")"
wait_for 5 'B has the disk' b_is attached
disk_ready "$(attached_path B)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'it comes back by itself, without a PIN: after restarts of either daemon, and when it was pulled out'
systemctl restart p2pusbd
wait_for 20 'B has the disk again' b_is attached
daemon_stop B
daemon_start B
wait_for 20 'B has the disk again' b_is attached
gadget_unplug disk
wait_for 5 "B's attachment waits for it" b_is waiting
gadget_plug disk
wait_for 10 'B has the disk again' b_is attached
disk_ready "$(attached_path B)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'somebody detaches it: from then on it asks again'
detach B disk
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
expect_failure 6 'asks for a PIN' on B p2pusb attach 'Lab disk' </dev/null
on B p2pusb with --pin-file <(printf '%s\n' "$PIN") 'Lab disk' true
expect_failure 6 'asks for a PIN' on B p2pusb with 'Lab disk' true </dev/null

step 'another PIN: whoever has the disk keeps it, and does not get it back by itself'
right B attach 'Lab disk'
wrong A pin "${share##*/}"
expect "B has it still" b_is attached
systemctl restart p2pusbd
wait_for 20 "B's attachment is gone" attachments_are B 0
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
expect_failure 6 'not the PIN' right B attach 'Lab disk'
wrong B attach 'Lab disk'
detach B disk
typed A 2 pin "${share##*/}"
expect_match 'what the terminal shows' 'The same again: .*asks for the new PIN' "$(tr '\r\n' '  ' <<<"$screen")"
right B attach 'Lab disk'
detach B disk
typed A 0 pin "${share##*/}" --clear
expect_equal 'PinProtected' false "$(bus_get A "$share" Share PinProtected)"
on B p2pusb attach 'Lab disk'
right A pin "${share##*/}"

step 'it is nowhere to be seen'
touch /run/watched-enough
wait "$watcher"
expect 'processes were looked at while p2pusb ran' test -s /run/watched
expect_equal 'processes that had it among their arguments or in their environment' '' "$(</run/exposed)"
logged_on_a >/run/journal-a
expect_match 'what A has logged' 'has shown a wrong PIN' "$(</run/journal-a)"
unseen 'the logs' /run/journal-a "$LAB_HOSTS/B/daemon.log" "$LAB_HOSTS/A"
for host in A B; do
    unseen "the bus of $host" "/run/bus-$host"
    # What is looked for would be found there: the name of the option is.
    expect "calls with a PIN were seen on the bus of $host" grep -qaE 'SetPin|pin' "/run/bus-$host"
    on "$host" tar --create --directory=/ var/lib/p2pusb run/p2pusb >"/run/files-$host"
    expect "the files of $host are among these" grep -qaF endpoint_id "/run/files-$host"
    unseen "the files of $host" "/run/files-$host"
    expect_equal "files of $host that others can read" '' "$(on "$host" find /var/lib/p2pusb -type f -perm /077)"
done
expect_match 'what is kept of it' 'argon2id' "$(cat /var/lib/p2pusb/pins/*.toml)"
expect_equal 'PINs that are kept' 1 "$(find /var/lib/p2pusb/pins -name '*.toml' | wc -l)"
on A p2pusb unshare "${share##*/}"
expect_equal 'PINs that are kept' 0 "$(find /var/lib/p2pusb/pins -name '*.toml' | wc -l)"
