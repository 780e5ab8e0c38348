#!/bin/bash
# title: the daemon's own tests of its USB thread, with real devices
# machines: uml
# timeout: 300
# needs: P2PUSB_USB_HOST_TEST
. "${0%/*}/../lib/lab.sh"

step 'a machine with device controllers; each test plugs in what it needs'
host_up A exporter
on A "$P2PUSB_USB_HOST_TEST" --ignored --nocapture --test-threads=1
