#!/bin/bash
# title: when p2pusbd stops on the machine that has a device, the other one lets it go at once
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
wait_for 2 "B's attachment is gone" attachments_are B 0
wait_for 2 'no port of B is in use' vhci_is_empty
expect_equal 'why it ended' 'Lab disk: peer-stopped' "$(ended_reasons B)"
disk_ready "$usb"
expect_equal 'the disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'p2pusbd is started on A: the share is still there and B finds it'
daemon_start A
expect_equal 'the share of A' available "$(share_state A)"
attach B A disk
disk_ready "$attached"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
detach B disk
