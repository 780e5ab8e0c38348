#!/bin/bash
# title: a peer that is gone for longer than the grace time: all is given back, and attached again when it is back
# machines: uml
# clock: virtual
# timeout: 180
. "${0%/*}/../lib/lab.sh"

grace=3

step "B uses a disk of A; the grace time is $grace s"
host_up A exporter
host_up B importer
for host in A B; do
    printf '[session]\ngrace = %d\n' "$grace" | on "$host" tee /etc/p2pusb/p2pusb.toml >/dev/null
    daemon_start "$host"
done
gadget_disk disk 16M
usb=$(device_path disk)
on A p2pusb share "$usb"
pair A B
attach B A disk
disk_ready "$attached"
attachment=$(bus_objects B attachments)

step 'the network goes, and does not come back'
net_cut B
sleep 3 # of the four that nobody knows; looking all the time would take long
wait_for 6 'B notices' bus_is reconnecting B "$attachment" Attachment State
sleep "$grace"
wait_for 5 'B gives up' bus_is waiting B "$attachment" Attachment State
expect 'no port of B is in use' vhci_is_empty
expect_equal 'why it ended' 'Lab disk: peer-lost' "$(ended_reasons B)"
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
expect_equal 'the share of A' available "$(share_state A)"

step 'it comes back'
net_join B
wait_for 60 'B has attached it again' bus_is attached B "$attachment" Attachment State
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

step 'p2pusbd on B is killed, and the next one begins anew: A gives its disk to that one at once'
daemon_kill B
wait_for 5 'the port of B is free' vhci_is_empty
expect_equal 'the share of A, which knows nothing yet' in-use "$(share_state A)"
daemon_start B
attachment=$(bus_objects B attachments)
wait_for 5 'B has attached it again' bus_is attached B "$attachment" Attachment State
disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
detach B disk
