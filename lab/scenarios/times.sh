#!/bin/bash
# title: shares for a time and for one use; sessions that end in the middle of a copy, after a warning; hours of the day
# machines: uml
# clock: virtual
# timeout: 600
. "${0%/*}/../lib/lab.sh"

# ends_near: whether B knows when its attachment ends.
ends_near() {
    [[ $(bus_get B "$(attachments B)" Attachment EndsAt) != 0 ]]
}

step 'A lends a disk for a minute at a time; B copies it until the end'
host_start A exporter
host_start B importer
gadget_disk disk 16M
usb=$(device_path disk)
on A p2pusb share --session-limit 1m "$usb"
pair A B
attach B A disk
disk_ready "$attached"
sleep 50 # of the 54 before the warning
expect 'the end is not near' not ends_near
wait_for 6 'B knows that the end is near' ends_near
net_delay 20ms # which makes the copy take longer than is left
dd if="$disk" of=/dev/null bs=32k iflag=direct status=none 2>/run/dd-says &
reader=$!
expect_match 'p2pusb status on B' 'attached, [3-6] s left' "$(on B p2pusb status)"
expect 'B has logged it' daemon_logged B 'Lab disk of host-a goes in [56] s: the device is lent for no longer at a time'
wait_for 8 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended' 'Lab disk: session-limit' "$(ended_reasons B)"
expect_match 'p2pusb status on B' 'lends it for no longer at a time' "$(on B p2pusb status)"
if wait "$reader"; then fail 'the copy was complete before the end'; fi
expect_match 'what the copy says' 'error reading' "$(</run/dd-says)"
net_delay 0ms
wait_for 5 'no port of B is in use' vhci_is_empty
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage

step 'the warning survives an outage'
on A p2pusb unshare "$usb"
on A p2pusb share --session-limit 1m "$usb"
attach B A disk
disk_ready "$attached"
sleep 51 # of the 54 before the warning
net_cut B
sleep 4 # in which A says it to nobody
net_join B
wait_for 8 'B knows that the end is near' ends_near
wait_for 15 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended' 'Lab disk: session-limit' "$(ended_reasons B | tail -n 1)"
on A p2pusb unshare "$usb"

step 'for half a minute, over a restart of p2pusbd'
on A p2pusb share --for 30s "$usb"
share=$(bus_objects A shares)
expires=$(bus_get A "$share" Share Expires)
daemon_stop A
daemon_start A
expect_equal 'when the share ends' "$expires" "$(bus_get A "$share" Share Expires)"
attach B A disk
disk_ready "$attached"
sleep 24 # of its thirty seconds
wait_for 8 'A does not share it any more' shares_are A 0
wait_for 2 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended' 'Lab disk: share-revoked' "$(ended_reasons B | tail -n 1)"
on A p2pusb share --for 5s "$usb"
daemon_stop A
sleep 6
daemon_start A
expect_equal 'shares of A, of which one has expired meanwhile' 0 "$(bus_count A shares)"

step 'once'
on A p2pusb share --once "$usb"
attach B A disk
disk_ready "$attached"
detach B disk
wait_for 2 'A does not share it any more' shares_are A 0

step 'at certain hours: until the next full minute but one, and again a minute later'
left=$((120 - 10#$(date +%S))) # until the first of these windows ends; the second one follows a minute later
on A p2pusb share --window "$(hours 0 120)" --window "$(hours 180 300)" "$usb"
attach B A disk
disk_ready "$attached"
attachment=$(attachments B)
sleep $((left - 10)) # in which nothing happens
wait_for 15 'its hours are over' bus_is waiting B "$attachment" Attachment State
expect_equal 'why it ended' 'Lab disk: hours-over' "$(ended_reasons B | tail -n 1)"
expect 'it was told before' daemon_logged B 'Lab disk of host-a goes in [0-9]+ s: the hours are over'
wait_for 5 'it is closed' share_is A closed
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
sleep 50
wait_for 20 'B has it again' bus_is attached B "$attachment" Attachment State
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
detach B disk
on A p2pusb unshare "$usb"

step 'outside of its hours, and with hours that are none'
expect_failure 1 'mon-fri 08:00-18:00' on A p2pusb share --window 'office hours' "$usb"
on A p2pusb share --window "$(hours 3600 7200)" "$usb"
wait_for 2 'B sees the disk' remote_device B A 'Lab disk'
expect_failure '1|6' 'at certain hours only: ' on B p2pusb attach 'Lab disk'
