#!/bin/bash
# title: control requests are as quick beside busy bulk as alone, at no delay and at 20 ms
# machines: uml
# clock: virtual
. "${0%/*}/../lib/lab.sh"

count=${LAB_COUNT:-300}
# How much later the slowest of a hundred may be, in milliseconds.
allowed=10

# measure RTT
measure() {
    local line
    line=$(lab-tool control-latency "$attached" "$(bulk_endpoint "$attached" in)" "$count")
    echo "   $1: $line"
    [[ $line =~ \"idle_p99_ms\":([0-9.]+),.*\"busy_p99_ms\":([0-9.]+) ]] || fail "no figures in: $line"
    expect "the slowest of a hundred takes at most $allowed ms longer" awk -v idle="${BASH_REMATCH[1]}" \
        -v busy="${BASH_REMATCH[2]}" -v allowed="$allowed" 'BEGIN { exit !(busy - idle <= allowed) }'
}

step 'two machines; a device in A that has data without end'
gadget_source_sink source 0
host_start A exporter
host_start B importer
usb=$(device_path source)
on A p2pusb share "$usb"
pair A B
for rtt in 0ms 20ms; do
    step "$rtt apart"
    net_delay "$rtt"
    attach B A source
    measure "$rtt"
    detach B source
    net_reset
done
