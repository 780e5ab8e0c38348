#!/bin/bash
# title: grace times of one share and one attachment; what nobody has ended is attached again, and easily stopped
# machines: uml
# clock: virtual
# timeout: 180
. "${0%/*}/../lib/lab.sh"

step 'B uses a disk of A, which A leaves to it for 5 s without a connection; B itself would wait for 200 s'
host_start A exporter
host_start B importer
gadget_disk disk 16M
usb=$(device_path disk)
on A p2pusb share "$usb" --grace 5s
share=$(bus_objects A shares)
pair A B
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
on B p2pusb attach 'Lab disk' --grace 200s
attachment=$(bus_objects B attachments)
expect_equal 'the grace time of the share' 5 "$(bus_get A "$share" Share Grace)"
expect_equal 'the grace time of the attachment' 200 "$(bus_get B "$attachment" Attachment Grace)"
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
on B udevadm settle
patience() { cat "/sys/block/${disk##*/}/device/timeout"; }
has_patience() { [[ $(patience) == "$1" ]]; }
wait_for 5 "B's kernel waits for a command as long as the attachment does, and 30 s more" has_patience 230

# deadline NAME OBJECT INTERFACE: in how many seconds it would be over.
deadline() {
    awk -v at="$(bus_get "$1" "$2" "$3" ReconnectDeadline)" -v now="$EPOCHREALTIME" 'BEGIN { printf "%.1f", at / 1e6 - now }'
}
between() { awk -v low="$1" -v value="$2" -v high="$3" 'BEGIN { exit !(low <= value && value <= high) }'; }

step 'a cut of 3 s passes'
dmesg --clear
net_cut B
sleep 3
net_join B
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
expect_equal "B's attachment" attached "$(bus_get B "$attachment" Attachment State)"
expect_equal 'the share of A' in-use "$(share_state A)"
expect_equal 'what ended on B' '' "$(ended_reasons B)"
expect_match "B's kernel says nothing" '^$' "$(dmesg | grep -E 'USB disconnect|I/O error|reset' || true)"

step 'a cut that is noticed: both sides say so, and until when'
net_cut B
sleep 3 # of the four that nobody knows; looking all the time would take long
wait_for 6 'A notices' share_is A reconnecting
left=$(deadline A "$share" Share)
expect "A waits for 5 s: $left" between 0 "$left" 5
status=$(on A p2pusb status)
expect_match 'p2pusb status on A' 'reconnecting to host-b, [0-5] s left' "$status"
wait_for 6 'B notices' bus_is reconnecting B "$attachment" Attachment State
left=$(deadline B "$attachment" Attachment)
expect "B waits for 200 s: $left" between 190 "$left" 200
expect_match 'p2pusb status on B' 'reconnecting, 3 min [0-9]+ s left' "$(on B p2pusb status)"

step 'the time of A is over: it has its disk back, and B keeps waiting'
wait_for 6 "A's own kernel has the disk back" has_driver "$usb" usb-storage
expect_equal 'the share of A' available "$(share_state A)"
expect_equal "B's attachment" reconnecting "$(bus_get B "$attachment" Attachment State)"

step 'the network is back: B detaches with a reason, and attaches again by itself'
net_join B
wait_for 10 'B lets the device go' daemon_logged B 'no longer attached'
wait_for 20 'B has attached it again' bus_is attached B "$attachment" Attachment State
expect_equal 'why it ended' 'Lab disk: peer-lost' "$(ended_reasons B)"
expect_equal 'the grace time of the attachment' 200 "$(bus_get B "$attachment" Attachment Grace)"
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'in mid-cut A changes its mind: a shorter time counts from the loss'
on A p2pusb change 'Lab disk' --grace 10m
net_cut B
sleep 3
wait_for 6 'A notices' share_is A reconnecting
left=$(deadline A "$share" Share)
expect "A waits for 600 s: $left" between 590 "$left" 600
bus_call A "$share" Share SetGrace 'ua{sv}' 0 0
wait_for 2 'the share of A is free' share_is A available
net_join B
wait_for 20 'B has attached it again' bus_is attached B "$attachment" Attachment State
expect_failure 1 'no grace time' bus_call A "$share" Share SetGrace 'ua{sv}' 3601 0
expect_equal 'the grace time of the share' 0 "$(bus_get A "$share" Share Grace)"

step 'both daemons are started anew, B first: B waits, then has the disk again, with what was said of it'
daemon_stop B
daemon_stop A
daemon_start B
attachment=$(bus_objects B attachments)
expect_equal "B's attachment" waiting "$(bus_get B "$attachment" Attachment State)"
expect_match 'p2pusb status on B' 'Lab disk +waiting for the peer' "$(on B p2pusb status)"
expect_match 'p2pusb status on B' 'p2pusb detach NUMBER' "$(on B p2pusb status)"
daemon_start A
wait_for 15 'B has attached it again' bus_is attached B "$attachment" Attachment State
expect_equal 'the grace time of the attachment' 200 "$(bus_get B "$attachment" Attachment Grace)"
expect_equal 'the grace time of the share' 0 "$(bus_get A "$(bus_objects A shares)" Share Grace)"
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'what waits is detached: nobody waits any longer, the next p2pusbd neither'
daemon_stop A
wait_for 5 "B's attachment waits" bus_is waiting B "$attachment" Attachment State
detach B disk
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
daemon_stop B
daemon_start A
daemon_start B
wait_for 20 'B is offered the disk' offered B A 'Lab disk'
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"

step 'what is attached for once is over with its peer'
on B p2pusb attach 'Lab disk' --once
attachment=$(bus_objects B attachments)
expect_equal 'whether it is kept' false "$(bus_get B "$attachment" Attachment Keep)"
daemon_stop A
wait_for 5 'B has no attachment' attachments_are B 0
daemon_start A
wait_for 20 'B is offered the disk' offered B A 'Lab disk'
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
