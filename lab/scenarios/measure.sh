#!/bin/bash
# title: disk throughput at 20 ms and 50 ms, beside the kernel's own usbip
# machines: uml
# clock: virtual
# timeout: 600
. "${0%/*}/../lib/lab.sh"
. "${0%/*}/../lib/measure.sh"

step 'one disk, three ways to it; the clock counts waiting only'
measure_start
measure_local
for rtt in 20ms 50ms; do
    net_delay "$rtt"
    measure_usbip "$rtt"
    measure_p2pusb "$rtt"
    net_reset
done
measure_table
