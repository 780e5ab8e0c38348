#!/bin/bash
# title: disk throughput without delay, beside the kernel's own usbip
# machines: uml
# timeout: 600
. "${0%/*}/../lib/lab.sh"
. "${0%/*}/../lib/measure.sh"

step 'one disk, three ways to it; the clock is real and all share one simulated CPU'
measure_start
measure_local
measure_usbip 0ms
measure_p2pusb 0ms
measure_table
