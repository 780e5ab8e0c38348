#!/bin/bash
# title: a device that is pulled out of A is gone from B within a second, and there again when it is plugged in
# machines: uml qemu
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

step 'it is pulled out while B reads'
dd if="$disk" of=/dev/null bs=64k iflag=direct status=none 2>/run/dd-says &
reader=$!
gadget_unplug disk
wait_for 1 "B's kernel sees the device go" not test -e "/sys/bus/usb/devices/$attached"
attachment=$(attachments B)
wait_for 1 "B's attachment waits for it" bus_is waiting B "$attachment" Attachment State
expect_equal 'why it ended' 'Lab disk: device-unplugged' "$(ended_reasons B)"
expect_match 'p2pusb status on B' 'was unplugged' "$(on B p2pusb status)"
expect 'no port of B is in use' vhci_is_empty
wait "$reader" || true
wait_for 1 'B is not offered it any more' not remote_device B A 'Lab disk'
expect_equal 'the share of A, which outlives the plug' waiting "$(share_state A)"

step 'it is plugged in again, and attached by itself'
gadget_plug disk
wait_for 5 'B has attached it again' bus_is attached B "$attachment" Attachment State
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'it is pulled out while nobody uses it'
gadget_unplug disk
wait_for 1 "B's attachment waits for it" bus_is waiting B "$attachment" Attachment State
expect_equal 'why they ended' $'Lab disk: device-unplugged\nLab disk: device-unplugged' "$(ended_reasons B)"
expect 'no port of B is in use' vhci_is_empty

step 'nobody wants it any longer'
detach B disk
gadget_plug disk
wait_for 5 'B is offered the disk' offered B A 'Lab disk'
wait_for 5 "A's own kernel has the disk" has_driver "$usb" usb-storage
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
