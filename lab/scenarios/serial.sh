#!/bin/bash
# title: a serial adapter carries 1 MiB each way at once
# machines: uml qemu
# timeout: 180
. "${0%/*}/../lib/lab.sh"

bytes=1048576

step 'two machines, a serial adapter in A'
host_start A exporter
host_start B importer
gadget_serial serial
usb=$(device_path serial)
wait_for 5 "A's own kernel has the adapter" has_driver "$usb" cdc_acm

step 'A shares it, B attaches it'
on A p2pusb share "$usb"
pair A B
attach B A serial
wait_for 5 "B's kernel drives it" has_driver "$attached" cdc_acm
wait_for 5 "B's kernel has a serial port" serial_port "$attached"

step "$bytes bytes each way between the line's end and B's $(serial_port "$attached")"
timeout 120 lab-tool serial-exchange "$(gadget_tty serial)" "$(serial_port "$attached")" "$bytes"

step 'once more, on a port that is opened anew'
timeout 120 lab-tool serial-exchange "$(gadget_tty serial)" "$(serial_port "$attached")" "$bytes"

step 'B gives it back'
detach B serial
wait_for 5 'no port of B is in use' vhci_is_empty
wait_for 5 "A's own kernel has the adapter back" has_driver "$usb" cdc_acm
