#!/bin/bash
# title: two machines wait for one device, each gets it in its turn, and the owner takes it back for now
# machines: uml
# clock: virtual
# timeout: 200
. "${0%/*}/../lib/lab.sh"

# has_disk NAME: the state of a host's attachment is "attached".
has_disk() {
    attachment_is "$1" attached
}

# attachment_is NAME STATE
attachment_is() {
    local object
    object=$(bus_objects "$1" attachments)
    [[ -n $object && $(bus_get "$1" "$object" Attachment State) == "$2" ]]
}

# waiting: who waits for the disk, by their labels, the next one first.
waiting() {
    on A p2pusb --json status | jq -r '[.shares[].queue[].label] | join(" ")'
}

# who_waits LABELS: those and no others wait, in this order.
who_waits() {
    [[ $(waiting) == "$1" ]]
}

# two_wait: so many do.
two_wait() {
    [[ $(waiting | wc -w) == 2 ]]
}

# host_of LABEL: host-a is A.
host_of() {
    tr a-z A-Z <<<"${1#host-}"
}

step 'A has a disk; B uses it, then C and D ask for it'
host_start A exporter
host_start B importer
host_start C importer
host_start D importer
gadget_disk disk 16M
on A p2pusb share "$(device_path disk)"
for host in B C D; do pair A "$host"; done
attach B A disk
disk_ready "$attached"
expect_failure 1 'in use by another peer' on C p2pusb attach --once 'Lab disk'
expect_match 'what C hears' 'is not free' "$(on C p2pusb attach --queue 'Lab disk')"
wait_for 5 'C has a place' who_waits host-c
expect_match 'what D hears' 'is not free' "$(on D p2pusb attach --queue 'Lab disk')"
expect 'C waits' attachment_is C waiting
wait_for 5 'D has the next one' who_waits 'host-c host-d'

step 'B gives it back: it is the turn of C, not of D, nor of B again'
detach B disk
wait_for 5 'C has the disk' has_disk C
expect 'D waits' attachment_is D waiting
expect_equal 'who waits' host-d "$(waiting)"
disk_ready "$(attached_path C)"
expect_equal 'the whole disk, read by C' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'A takes it back for now'
on A p2pusb pause 'Lab disk'
wait_for 5 "C's disk is gone" attachment_is C waiting
expect_equal 'why, on C' 'Lab disk: taken-back' "$(ended_reasons C)"
wait_for 5 'A has it' share_is A paused
wait_for 5 "A's own kernel has the disk back" has_driver "$(device_path disk)" usb-storage
expect_failure 1 'taken it back' on B p2pusb attach --once 'Lab disk'
wait_for 5 'C waits behind D' who_waits 'host-d host-c'

step 'A is started anew, and gives it again'
daemon_stop A
daemon_start A
expect_equal 'what the share is' paused "$(share_state A)"
wait_for 60 'both wait again' two_wait
first=$(waiting)
first=$(host_of "${first%% *}")
on A p2pusb resume 'Lab disk'
wait_for 5 'the first of them has the disk' has_disk "$first"

step "a device for as long as a command runs, and not longer than whoever asked for it"
second=$(host_of "$(waiting)")
detach "$first" disk
wait_for 10 'the next one has it' has_disk "$second"
detach "$second" disk
wait_for 10 'B is offered it' offered B A 'Lab disk'
expect_failure 42 'Lab disk' on B p2pusb with 'Lab disk' sh -c 'cat /sys/bus/usb/devices/9-1/product; exit 42'
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
on B p2pusb with 'Lab disk' -- sleep 1000 &
holder=$!
wait_for 10 'B has the disk' has_disk B
on B pkill -KILL -x p2pusb
wait "$holder" || true
wait_for 5 'it is given back' attachments_are B 0
on B pkill -x sleep
attach B A disk
first=B
expect_match 'what C hears' 'is not free' "$(on C p2pusb attach --queue 'Lab disk')"
wait_for 5 'C has a place' who_waits host-c

step 'the next one is asleep when its turn comes, and loses it'
second=$(host_of "$(waiting)")
daemon_stop "$second"
expect_match 'what D hears' 'is not free' "$(on D p2pusb attach --queue 'Lab disk')"
detach "$first" disk
sleep 9 # of the ten in which the one that sleeps could take it
wait_for 10 'D has the disk' has_disk D
