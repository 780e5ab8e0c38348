#!/bin/bash
# title: the keys typed on a remote keyboard arrive, all of them and in order
# machines: uml qemu
# clock: virtual
# timeout: 180
. "${0%/*}/../lib/lab.sh"

keys=$((1000 / LAB_SLOWER))

step 'two machines 20 ms apart, a keyboard in A'
host_start A exporter
host_start B importer
net_delay 20ms
gadget_keyboard keyboard
usb=$(device_path keyboard)
wait_for 5 "A's own kernel has the keyboard" has_driver "$usb" usbhid

step 'it is the only keyboard of A: sharing it needs to be forced'
expect_failure 1 'force' on A p2pusb share "$usb"
on A p2pusb share --force "$usb"
pair A B

step "B attaches it, somebody types $keys keys"
attach B A keyboard
wait_for 5 "B's kernel drives it" has_driver "$attached" usbhid
wait_for 5 "B's kernel has an input device" input_device "$attached"
lab-tool read-keys "$(input_device "$attached")" "$keys" >/run/read-keys &
reader=$!
wait_for 5 'the reader listens' grep -q reading /run/read-keys
lab-tool type-keys "$(gadget_hid keyboard)" "$keys"
wait "$reader"
cat /run/read-keys

step 'B gives it back'
detach B keyboard
wait_for 5 'no port of B is in use' vhci_is_empty
wait_for 5 "A's own kernel has the keyboard back" has_driver "$usb" usbhid
