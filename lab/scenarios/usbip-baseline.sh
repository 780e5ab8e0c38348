#!/bin/bash
# title: the lab itself: two hosts, a disk, and the kernel's own usbip between them
# machines: uml
# timeout: 240
. "${0%/*}/../lib/lab.sh"
. "${0%/*}/../lib/measure.sh"

# p2pusb has no part in this: where it fails, the machine is at fault.
step 'two hosts, a disk in A'
measure_start
wait_for 5 "A's own kernel has the disk" has_driver "$measured_usb" usb-storage
expect_equal 'the disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'B reads and writes it over usbip, without delay'
measure_local
measure_usbip 0ms

step 'the same at 20 ms'
net_delay 20ms
measure_usbip 20ms
measure_table

step 'a cut cable is silent'
net_reset
net_cut A
expect_failure 124 '' timeout 5 nsenter --net="$LAB_HOSTS/B/net" -- usbip list --remote "$(host_address A)"
net_join A
wait_for 5 'A answers again' on B usbip list --remote "$(host_address A)"
