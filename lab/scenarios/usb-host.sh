#!/bin/bash
# title: the daemon's own tests of its USB thread, with real devices
# machines: uml
# timeout: 300
# needs: P2PUSB_USB_HOST_TEST
. "${0%/*}/../lib/lab.sh"

step 'a machine with a disk and a source of bulk data'
host_up A exporter
gadget_disk disk 16M
gadget_source_sink source-sink
wait_for 5 'the kernel drives the disk' has_driver "$(device_path disk)" usb-storage
on A env LAB_DISK="$(device_path disk)" LAB_DISK_FILE="$(gadget_file disk)" LAB_SOURCE_SINK="$(device_path source-sink)" \
    "$P2PUSB_USB_HOST_TEST" --ignored --nocapture --test-threads=1
