#!/bin/bash
# title: a blocked peer loses what it uses, is refused, and comes back when it is unblocked
# machines: uml
# clock: virtual
# timeout: 120
. "${0%/*}/../lib/lab.sh"

# Exit statuses of p2pusb.
failed=1 refused=6

step 'B uses a disk of A, and calls A by another name'
host_start A exporter
host_start B importer
gadget_disk disk 16M
usb=$(device_path disk)
on A p2pusb share "$usb"
pair A B
on B p2pusb rename host-a workshop
expect_failure "$failed" 'empty' on B p2pusb rename workshop ' '
attach B A disk
disk_ready "$attached"
expect_match 'p2pusb status on B' 'workshop' "$(on B p2pusb status)"

step 'A blocks B'
on A p2pusb block host-b
wait_for 2 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended' 'Lab disk: peer-blocked' "$(ended_reasons B | tail -n 1)"
wait_for 2 "A's own kernel has the disk back" has_driver "$usb" usb-storage
wait_for 40 'B knows that A refuses it' peer_is B A refused
expect_match 'p2pusb peers on B' 'blocked this machine' "$(on B p2pusb peers)"
expect_match 'p2pusb peers on A' 'host-b .* blocked' "$(on A p2pusb peers)"
expect_equal 'peers of A' 1 "$(bus_count A peers)"

step 'a ticket does not help'
ticket=$(on A p2pusb invite)
expect_failure "$failed|$refused" 'blocked this machine' on B p2pusb pair "$ticket"
expect_failure "$failed" 'blocked; unblock it' on A p2pusb pair "$(on B p2pusb invite)"

step 'A is started anew, and B is blocked all the same'
daemon_stop A
daemon_start A
expect_match 'p2pusb peers on A' 'host-b .* blocked' "$(on A p2pusb peers)"
wait_for 40 'B is refused again' peer_is B A refused

step 'A unblocks B, which has kept the name'
on A p2pusb unblock host-b
wait_for 40 'B sees A online' peer_is B A online
expect_match 'p2pusb peers on B' 'workshop .* online' "$(on B p2pusb peers)"
attach B A disk
disk_ready "$attached"
detach B disk
expect 'no vhci port is in use' vhci_is_empty
