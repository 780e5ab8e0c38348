#!/bin/bash
# title: when p2pusbd stops on the machine that has a device, the other one lets it go at once, and has it again later
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

step 'p2pusbd is stopped on A'
daemon_stop A
expect_equal "the driver of A's disk" usb-storage "$(driver_of "$usb")"
attachment=$(bus_objects B attachments)
wait_for 2 "B's attachment waits" bus_is waiting B "$attachment" Attachment State
expect_match 'p2pusb status on B' 'waiting for the peer' "$(on B p2pusb status)"
wait_for 2 'no port of B is in use' vhci_is_empty
expect_equal 'why it ended' 'Lab disk: peer-stopped' "$(ended_reasons B)"
disk_ready "$usb"
expect_equal 'the disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'p2pusbd is started on A: the share is still there, and B has the disk again by itself'
daemon_start A
wait_for 10 'B has attached it again' bus_is attached B "$attachment" Attachment State
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'nobody waits for what was detached'
daemon_stop A
wait_for 2 "B's attachment waits" bus_is waiting B "$attachment" Attachment State
detach B disk
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
daemon_start A
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
expect_equal 'the share of A' available "$(share_state A)"
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
attach B A disk
detach B disk
