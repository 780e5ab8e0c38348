#!/bin/bash
# title: when p2pusbd stops on the machine that uses a device, the device is free, and used again by the next p2pusbd
# machines: uml
# clock: virtual
# timeout: 180
. "${0%/*}/../lib/lab.sh"

step 'B uses a disk of A'
host_start A exporter
host_start B importer
gadget_disk disk 16M
usb=$(device_path disk)
on A p2pusb share "$usb"
pair A B
attach B A disk
disk_ready "$attached"
expect_equal 'the share of A' in-use "$(share_state A)"

step 'p2pusbd is stopped on B'
daemon_stop B
expect "B's kernel has let the device go" not test -e "/sys/bus/usb/devices/$attached"
expect 'no port of B is in use' vhci_is_empty
wait_for 2 'the share of A is free' share_is A available
wait_for 2 "A's own kernel has the disk back" has_driver "$usb" usb-storage
disk_ready "$usb"
expect_equal 'the disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'p2pusbd is started on B: they know each other still, and B has the disk again by itself'
daemon_start B
attachment=$(bus_objects B attachments)
wait_for 10 'B has attached it again' bus_is attached B "$attachment" Attachment State
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'what was detached, or attached for once, the next p2pusbd does not attach'
detach B disk
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
daemon_stop B
daemon_start B
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
on B p2pusb attach --once 'Lab disk'
daemon_stop B
daemon_start B
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
expect_equal 'the share of A' available "$(share_state A)"
