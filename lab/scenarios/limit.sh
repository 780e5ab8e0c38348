#!/bin/bash
# title: a share and a peer keep to their bandwidths, which can change while they are used, and reports do not wait
# machines: uml
# clock: virtual
# timeout: 200
. "${0%/*}/../lib/lab.sh"

# milliseconds COMMAND...: how long it takes.
milliseconds() {
    local began
    began=$(date +%s%3N)
    "$@" >/dev/null
    echo $(($(date +%s%3N) - began))
}

# read_disk DISK MEGABYTES
read_disk() {
    dd if="$1" of=/dev/null bs=1M count="$2" iflag=direct status=none
}

# expect_between WHAT LEAST NUMBER MOST
expect_between() {
    echo "   $1: $3 (expected: $2 to $4)"
    expect "$1 is from $2 to $4" test "$2" -le "$3" -a "$3" -le "$4"
}

step 'two disks, one of them limited to 2 MB a second'
host_start A exporter
host_start B importer
pair A B
gadget_disk slow 32M
gadget_disk fast 32M
on A p2pusb share --bandwidth 2M "$(device_path slow)"
on A p2pusb share "$(device_path fast)"
on B p2pusb attach 'Lab slow'
on B p2pusb attach 'Lab fast'
disk_ready "$(attached_path B 'Lab slow')"
slow=$disk
disk_ready "$(attached_path B 'Lab fast')"
fast=$disk
read_disk "$slow" 1 # what the kernel wants to know of a new disk is over
expect_between 'milliseconds for 8 MiB at 2 MB/s' 3900 "$(milliseconds read_disk "$slow" 8)" 5000
unlimited=$(milliseconds read_disk "$fast" 8)
expect_between 'milliseconds for 8 MiB without a limit' 0 "$unlimited" 3000

step 'written data counts as well'
write_disk() {
    dd if=/dev/zero of="$slow" bs=1M count=4 oflag=direct status=none
}
expect_between 'milliseconds for 4 MiB at 2 MB/s' 1900 "$(milliseconds write_disk)" 2600

step 'the limit is lifted in the middle'
read_disk "$slow" 24 &
reader=$!
sleep 1
on A p2pusb limit none 'Lab slow'
began=$(date +%s%3N)
wait "$reader"
expect_between 'milliseconds for the rest' 0 $(($(date +%s%3N) - began)) 6000

step 'all that B uses of A shares 4 MB a second'
on A p2pusb limit 4M --peer host-b
both() {
    read_disk "$slow" 8 &
    read_disk "$fast" 8
    wait
}
expect_between 'milliseconds for 16 MiB at 4 MB/s' 3900 "$(milliseconds both)" 5200
expect_equal 'Bandwidth' 4000000 "$(bus_get A "$(peer_object A B)" Peer Bandwidth)"

step 'both sides count the same, and how long they were without a connection'
# counters NAME OBJECT INTERFACE
counters() {
    local name
    for name in BytesIn BytesOut Urbs UrbErrors; do echo "$name $(bus_get "$1" "$2" "$3" "$name")"; done
}
# of_product NAME KIND INTERFACE: its object of this kind for the fast disk.
of_product() {
    local object
    for object in $(bus_objects "$1" "$2"); do
        if [[ $(bus_get "$1" "$object" "$3" Product) == 'Lab fast' ]]; then echo "$object"; fi
    done
}
share=$(of_product A shares Share)
attachment=$(of_product B attachments Attachment)
counters A "$share" Share
expect_equal 'the counters of B and A' "$(counters A "$share" Share)" "$(counters B "$attachment" Attachment)"
expect 'more than 8 MiB were read' test "$(bus_get A "$share" Share BytesIn)" -gt 8388608
net_cut B
sleep 12
net_join B
wait_for 20 'B is connected again' bus_is attached B "$attachment" Attachment State
read_disk "$fast" 1
lost_a=$(bus_get A "$share" Share LostUsec)
expect_between 'microseconds without a connection, A' 5000000 "$lost_a" 16000000
expect_between 'microseconds without a connection, B' 5000000 "$(bus_get B "$attachment" Attachment LostUsec)" 16000000
sleep 1
expect_equal 'it does not go on' "$lost_a" "$(bus_get A "$share" Share LostUsec)"

step 'it is kept'
daemon_stop A
daemon_start A
expect_equal 'Bandwidth' 4000000 "$(bus_get A "$(peer_object A B)" Peer Bandwidth)"
both_are_attached() {
    [[ $(on B p2pusb --json status | jq '[.attachments[] | select(.state == "attached")] | length') == 2 ]]
}
wait_for 20 'the disks are back' both_are_attached
