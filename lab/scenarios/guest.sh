#!/bin/bash
# title: a ticket for one device and a limited time lets nobody have more
# machines: uml
# clock: virtual
# timeout: 240
. "${0%/*}/../lib/lab.sh"

# Exit statuses of p2pusb.
failed=1 no_such_thing=3

step 'A shares a disk and a serial adapter with everybody who is paired'
host_start A exporter
host_start B importer
gadget_disk disk 16M
gadget_serial serial
usb=$(device_path disk)
on A p2pusb share "$usb"
on A p2pusb share "$(device_path serial)"

step 'a ticket for the disk alone, for 20 s'
expect_failure "$no_such_thing" 'shared device' on A p2pusb invite --device scanner
ticket=$(on A p2pusb invite --device "$usb" --access 20s)
on B p2pusb pair "$ticket"
expect_match 'p2pusb peers on A' 'host-b may use .*Lab disk only, and is paired for a time, ' "$(on A p2pusb peers)"
attach B A disk
disk_ready "$attached"
expect 'B is not offered the serial adapter' not remote_device B A 'Lab serial'
expect_failure "$no_such_thing" 'Lab disk' on B p2pusb attach 'Lab serial'
expect_failure "$failed" 'used' on B p2pusb pair "$ticket"

step 'A is started anew: the limits are kept'
daemon_stop A
daemon_start A
wait_for 15 'B has the disk again by itself' attached_path B 'Lab disk'
expect 'B is not offered the serial adapter' not remote_device B A 'Lab serial'

step 'the time is over'
has_no_peer() {
    [[ $(bus_count A peers) == 0 ]]
}
sleep 20 # of the guest's clock: the pairing's own lifetime
wait_for 2 'A has forgotten B by itself' has_no_peer
wait_for 5 "B's attachment is gone" attachments_are B 0
wait_for 40 'B knows that A refuses it' peer_is B A refused
wait_for 2 "A's own kernel has the disk back" has_driver "$usb" usb-storage

step 'a ticket whose device is not shared any more'
ticket=$(on A p2pusb invite --device "$usb")
on A p2pusb unshare "$usb"
expect_failure "$failed" 'not shared' on B p2pusb pair "$ticket"
