#!/bin/bash
# title: two machines behind NAT meet through a relay of one's own; holes are punched, close and open while a disk is written
# machines: uml
# clock: virtual
# timeout: 300
# program: lab-relay
. "${0%/*}/../lib/lab.sh"

# What is written at a time, again and again until copy_end, a block after the other, each of them to the medium: slow,
# and yet never at rest.
size=1M
block=16k

# How long the copy may stand still: the three seconds after which a dark path is left, and as long again as a block takes
# over a path on which nothing was sent yet, with a margin.
most_pause=4500
# How often two machines that are joined by a relay look for a direct path: iroh's own minute.
most_search=65

# copy writes to B's disk until the file "enough" is there, and compares what A has each time.
copy() {
    local round=0
    until [[ -e /dev/shm/enough ]]; do
        round=$((round + 1))
        lab-tool random /dev/shm/data "$(numfmt --from=iec $size)" "$round"
        dd if=/dev/shm/data of="$disk" bs=$block oflag=direct,dsync status=none || return 1
        cmp /dev/shm/data "$(gadget_file disk)" || return 1
        echo $round >/dev/shm/rounds
    done
}

# sectors: how many B's kernel has written, Documentation/block/stat.rst.
sectors() {
    local statistics
    read -ra statistics <"/sys/block/${disk##*/}/stat"
    echo "${statistics[6]}"
}

# written SECTORS: whether it is more than that.
written() {
    (($(sectors) > $1))
}

# longest_pause SECONDS: for so long B's disk is watched, then it is told for how long at most nothing was written, in
# milliseconds. It starts no process, and so takes no time that the writer could use.
longest_pause() {
    local now=${EPOCHREALTIME/./} end last longest=0 before= statistics never
    end=$((now + $1 * 1000000)) last=$now
    exec {never}<> <(:)
    while ((now < end)); do
        read -ra statistics <"/sys/block/${disk##*/}/stat"
        now=${EPOCHREALTIME/./}
        if [[ ${statistics[6]} != "$before" ]]; then
            if ((now - last > longest)); then longest=$((now - last)); fi
            last=$now before=${statistics[6]}
        fi
        read -r -t 0.01 -u "$never" || true
    done
    exec {never}>&-
    echo $((longest / 1000))
}

# kernel_said REGEX: whether it has since its log was cleared.
kernel_said() {
    dmesg | grep -q "$1"
}

# path_is KIND: whether B's packets to A take that path, as B's bus tells.
path_is() {
    bus_is "$1" B "$peer" Peer Path
}

# path_comes KIND: the same for wait_for, where it may take long: all the time would be spent on asking otherwise.
path_comes() {
    path_is "$1" || { sleep 2 && false; }
}

# path_told KIND RTT: whether "p2pusb peers" on B tells the same, with a round trip of some RTT milliseconds.
path_told() {
    local usec
    usec=$(bus_get B "$peer" Peer RttUsec)
    expect "a round trip of about $2 ms: $usec µs" test $((usec / 1000)) -ge "$2" -a $((usec / 1000)) -lt $(($2 + 10))
    on B p2pusb peers | tee /dev/shm/peers
    expect_match 'p2pusb peers on B' "$(host_name A).* $1 " "$(</dev/shm/peers)"
}

step 'A, B and D behind NAT, a relay at C, 20 ms between any two of them'
host_up C
host_up A exporter
host_up B importer
host_up D importer
for name in A B D; do net_nat $name; done
net_delay 20ms
relay_certify C
relay_start C
# At first the way between A and B is dark, so that there is nothing but the relay.
net_dark A B
for name in A B D; do
    relay_use $name C
    daemon_start $name
    wait_for 10 "$name is at its relay" daemon_logged $name "relay https://$(host_address C)/ is connected"
done
expect_equal 'the relay mode' custom "$(bus_get A "$BUS_ROOT" Manager RelayMode)"
told=$(bus_call A "$BUS_ROOT" Manager Diagnose 'a{sv}' 0)
expect_match 'what A says of its relay' "\"relay\" \"ok\" \"https://$(host_address C) is connected\"" "$told"
expect_match 'what A says of its NAT' '"nat" "note" "there is a NAT; .*only a second relay could tell"' "$told"

step 'where nothing is dark, a hole is punched at once: D is paired with A'
pair A D
wait_for 1 'a direct path' bus_is direct D "$(peer_object D A)" Peer Path
daemon_stop D

step 'B is paired with A and uses a disk of A, through the relay'
gadget_disk disk $size
on A p2pusb share "$(device_path disk)"
pair A B
peer=$(peer_object B A)
dmesg --clear
attach B A disk
disk_ready "$attached"
path_is relay || fail 'there is no other path'
path_told relay 40
number=$(<"/sys/bus/usb/devices/$attached/devnum")
echo 0 >"/sys/block/${disk##*/}/events_poll_msecs"
on B udevadm settle
wait_for 5 'the kernel is done with the disk' kernel_said 'Attached SCSI removable disk'
dmesg --clear

step 'the way between the two is free: a hole is punched while B writes'
copy &
writer=$!
before=$(sectors)
wait_for 20 'the copy is under way' written $((before + 256))
path_is relay || fail 'still there is no other path'
moment=$EPOCHREALTIME
net_light A B
wait_for $most_search 'a direct path' path_comes direct
echo "   a direct path after $(seconds_since "$moment") s"
wait_for 5 'the copy goes on' written $(($(sectors) + 256))
path_told direct 20

step 'the way between the two goes dark while B writes'
net_dark A B
pause=$(longest_pause 10)
echo "   the copy stood still for $pause ms"
expect "a pause of at most $most_pause ms" test "$pause" -le $most_pause
expect_equal 'the path' relay "$(bus_get B "$peer" Peer Path)"
expect_equal 'the state' attached "$(bus_get B "$(bus_objects B attachments)" Attachment State)"
path_told relay 40

step 'and is free again'
moment=$EPOCHREALTIME
net_light A B
wait_for $most_search 'a direct path' path_comes direct
echo "   a direct path after $(seconds_since "$moment") s"
expect 'the copy is not over' kill -0 "$writer"
wait_for 5 'the copy goes on' written $(($(sectors) + 256))
path_told direct 20

step 'the relay is gone: nobody who has a direct path needs it'
kill "$(daemon_pid C)"
wait_for 10 'B has noticed' daemon_logged B "relay https://$(host_address C)/ can't be reached"
before=$(sectors)
wait_for 5 'the copy goes on' written $((before + 256))
expect_equal 'the path' direct "$(bus_get B "$peer" Peer Path)"

step 'what A has is what B wrote, and the kernel noticed nothing'
touch /dev/shm/enough
wait "$writer" || fail "the copy failed with status $?"
echo "   $size written $(</dev/shm/rounds) times"
expect_equal 'what A has' "$(checksum /dev/shm/data)" "$(checksum "$(gadget_file disk)")"
expect_equal 'what B reads' "$(checksum /dev/shm/data)" "$(checksum "$disk")"
expect_equal "the device's number" "$number" "$(<"/sys/bus/usb/devices/$attached/devnum")"
expect_equal 'kernel log' '' "$(dmesg)"
detach B disk
