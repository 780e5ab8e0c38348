#!/bin/bash
# title: a SuperSpeed disk is a SuperSpeed disk on the other machine, too
# machines: uml
# kernel: dummy_hcd.is_super_speed=1
. "${0%/*}/../lib/lab.sh"

# used_hubs: of what kind (hs or ss) the hubs of the vhci ports are that anything is attached to, one a line.
used_hubs() {
    cat /sys/devices/platform/vhci_hcd.*/status* | awk '$2 ~ /^[0-9]+$/ && $3 != "004" { print $1 }'
}

step 'two machines, a SuperSpeed disk in A'
host_start A exporter
host_start B importer
gadget_disk disk 64M
usb=$(device_path disk)
wait_for 5 "A's own kernel has the disk" has_driver "$usb" usb-storage
expect_equal 'its speed in A' 5000 "$(<"/sys/bus/usb/devices/$usb/speed")"

step 'A shares it, B attaches it'
on A p2pusb share "$usb"
pair A B
attach B A disk
disk_ready "$attached"
expect_equal 'its speed in B' 5000 "$(<"/sys/bus/usb/devices/$attached/speed")"
expect_equal 'the hub of its port' ss "$(used_hubs)"
expect_match 'p2pusb status on B' disk "$(on B p2pusb status)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'B makes a file system, writes files, checks'
disk_work "$disk"
expect_equal 'the disk after that, on both sides' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'a high speed device beside it has a port of the other hub'
gadget_keyboard keyboard
gadget_unplug keyboard
echo high-speed >"$GADGETS/keyboard/max_speed"
gadget_plug keyboard
keyboard=$(device_path keyboard)
expect_equal 'its speed in A' 480 "$(<"/sys/bus/usb/devices/$keyboard/speed")"
on A p2pusb share --force "$keyboard"
disk_attached=$attached
attach B A keyboard
wait_for 5 "B's kernel drives it" has_driver "$attached" usbhid
expect_equal 'its speed in B' 480 "$(<"/sys/bus/usb/devices/$attached/speed")"
expect_equal 'the hubs of both ports' $'hs\nss' "$(used_hubs | sort)"
expect_equal 'the speed of the disk in B' 5000 "$(<"/sys/bus/usb/devices/$disk_attached/speed")"

step 'B gives both back'
detach B keyboard
detach B disk
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
disk_ready "$usb"
expect_equal 'the disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
