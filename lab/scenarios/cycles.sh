#!/bin/bash
# title: fifty times attached and detached, half of them in the middle of work: nothing is left behind
# machines: uml
# timeout: 420
. "${0%/*}/../lib/lab.sh"

cycles=50

# counts NAME: open files and threads of a daemon.
counts() {
    echo "$(daemon_fds "$1") files, $(daemon_threads "$1") threads"
}
# holds_no_more NAME COUNTS: no more of either than those. Idle threads of a runtime's pool come and go.
holds_no_more() {
    local files threads _
    read -r files _ threads _ <<<"$2"
    (($(daemon_fds "$1") <= files && $(daemon_threads "$1") <= threads))
}

cycle() {
    local reader=
    on B p2pusb attach 'Lab disk' >/dev/null
    attached=$(attached_path B)
    if (($1 % 2 == 0)); then
        disk_ready "$attached"
        dd if="$disk" of=/dev/null bs=64k iflag=direct status=none 2>/dev/null &
        reader=$!
    fi
    on B p2pusb detach 'Lab disk'
    if [[ -n $reader ]]; then wait "$reader" || true; fi
    wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
    wait_for 5 'the share of A is free' share_is A available
    wait_for 5 'B is offered it again' offered B A 'Lab disk'
}

step 'two machines, a USB stick in A'
host_start A exporter
host_start B importer
gadget_disk disk 16M
usb=$(device_path disk)
on A p2pusb share "$usb"
pair A B
wait_for 5 'B is offered it' offered B A 'Lab disk'

step 'one round to warm up'
cycle 2
counts_a=$(counts A) counts_b=$(counts B)
echo "   A: $counts_a; B: $counts_b"

for ((number = 1; number <= cycles; number++)); do
    if ((number % 10 == 1)); then step "round $number of $cycles"; fi
    cycle "$number"
done

step 'what is left'
expect 'no port of B is in use' vhci_is_empty
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
expect_equal 'reasons on B other than detached' '' "$(ended_reasons B | grep -v ': detached$' || true)"
# The runtimes keep idle threads for a while.
wait_for 30 "p2pusbd on A holds no more than before ($counts_a)" holds_no_more A "$counts_a"
wait_for 30 "p2pusbd on B holds no more than before ($counts_b)" holds_no_more B "$counts_b"
disk_ready "$usb"
expect_equal 'the disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
