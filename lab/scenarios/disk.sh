#!/bin/bash
# title: a USB disk of one machine is a disk of another, to the last byte
# machines: uml qemu
# timeout: 300
. "${0%/*}/../lib/lab.sh"

step 'two machines, a USB stick in A'
host_start A exporter
host_start B importer
gadget_disk disk $((64 / LAB_SLOWER))M
usb=$(device_path disk)
wait_for 5 "A's own kernel has the disk" has_driver "$usb" usb-storage

step 'A shares it, B is invited'
on A p2pusb share "$usb"
pair A B

step 'B attaches it'
attach B A disk
wait_for 5 "B's kernel drives it" has_driver "$attached" usb-storage
disk_ready "$attached"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step "B's udev knows whose it is"
on B udevadm settle
share=$(bus_objects A shares)
for what in "/sys/bus/usb/devices/$attached" "$disk"; do
    expect_equal "the share of $what" "${share##*/}" "$(udev_property B "$what" P2PUSB_REMOTE_ID)"
    expect_equal "the peer of $what" "$(bus_get A "$BUS_ROOT" Manager EndpointId)" "$(udev_property B "$what" P2PUSB_PEER)"
    expect_equal "the label of $what" host-a "$(udev_property B "$what" P2PUSB_PEER_LABEL)"
    expect_equal "the attachment of $what" 1 "$(udev_property B "$what" P2PUSB_ATTACHMENT)"
done

step 'B makes a file system, writes files, checks'
disk_work "$disk"
expect_equal 'the disk after that, on both sides' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'B gives it back'
detach B disk
wait_for 5 'no port of B is in use' vhci_is_empty
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
expect_equal 'why it ended' 'Lab disk: detached' "$(ended_reasons B)"
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
disk_ready "$usb"
expect_equal 'the disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
