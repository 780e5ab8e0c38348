#!/bin/bash
# title: what must not work does not, and both sides say why
# machines: uml
# timeout: 300
. "${0%/*}/../lib/lab.sh"

# Exit statuses of p2pusb.
failed=1 no_such_thing=3 refused=6

step 'A has a disk to share; B and C want it'
host_start A exporter
host_start B importer
host_start C importer
gadget_disk disk 16M
usb=$(device_path disk)
on A p2pusb share "$usb"

step 'tickets: nonsense, forged, expired, used'
expect_failure "$failed|2" 'ticket' on B p2pusb pair 'certainly-no-ticket'
ticket=$(on A p2pusb invite)
expect_failure "$failed|$refused" 'ticket|refused' on B p2pusb pair "$(ticket_forge "$ticket")"
expect_equal 'peers of A after a forged ticket' 0 "$(bus_count A peers)"
expect_equal 'peers of B after a forged ticket' 0 "$(bus_count B peers)"
short=$(on A p2pusb invite --expires 1s)
sleep 2 # of the guest's clock: the ticket's own lifetime
expect_failure "$failed|$refused" 'expired' on B p2pusb pair "$short"
wait_for 2 'A has logged the expired ticket' daemon_logged A 'expired'
on B p2pusb pair "$ticket"
expect_failure "$failed|$refused" 'used' on C p2pusb pair "$ticket"
wait_for 2 'A has logged the used ticket' daemon_logged A 'used'
expect_equal 'peers of A after a used ticket' 1 "$(bus_count A peers)"
for host in A B C; do expect 'no ticket is in a log' not daemon_logged "$host" "$ticket"; done

step 'a stranger: C was never paired'
expect_failure "$no_such_thing" '.' on C p2pusb attach 'Lab disk'

step 'devices that are never shared'
expect_failure "$failed" 'root hub|hub' on A p2pusb share usb1
expect_failure "$no_such_thing" '.' on A p2pusb share 'no such thing'
expect_failure "$failed" 'already' on A p2pusb share "$usb"

step 'a security key takes force'
gadget_security_key key
key=$(device_path key)
wait_for 5 "A's own kernel has it" has_driver "$key" usbhid
expect_failure "$failed" 'security key.*--force' on A p2pusb share "$key"
on A p2pusb share --force "$key"
on A p2pusb unshare "$key"

step 'a device that B has attached itself can not go further'
attach B A disk
disk_ready "$attached"
expect_failure "$failed" 'attached' on B p2pusb share "$attached"

step 'what is attached can not be attached again'
expect_failure "$failed" 'already|in use|busy' on B p2pusb attach 'Lab disk'
expect_equal 'attachments of B' 1 "$(bus_count B attachments)"

step 'nor by a third machine'
pair A C
wait_for 5 'C sees the disk' remote_device C A 'Lab disk'
expect_failure "$failed|$refused" 'in use|busy' on C p2pusb attach 'Lab disk'
expect_failure "$failed" 'busy|in use' bus_call C "$(remote_device C A 'Lab disk')" RemoteDevice Attach 'a{sv}' 0
expect_equal 'attachments of C' 0 "$(bus_count C attachments)"
detach B disk

step 'all ports of B are taken'
mkfifo /run/ports
on B lab-tool fill-ports /sys/devices/platform/vhci_hcd.0 </run/ports >/run/ports-taken &
holder=$!
exec {ports}>/run/ports
wait_for 10 'the ports are taken' grep -q took /run/ports-taken
cat /run/ports-taken
wait_for 5 'B is offered the disk' offered B A 'Lab disk'
expect_failure "$failed" 'no free port' on B p2pusb attach 'Lab disk'
wait_for 2 'the share of A is free' share_is A available
exec {ports}>&-
wait "$holder"
wait_for 60 'the ports are free' vhci_is_empty
attach B A disk
detach B disk

step 'a device that is not shared any more'
stale=$(remote_device B A 'Lab disk')
on A p2pusb unshare "$usb"
wait_for 2 'B is not offered it any more' not remote_device B A 'Lab disk'
expect_failure "$no_such_thing" '.' on B p2pusb attach 'Lab disk'
expect_failure "$failed" 'unknown' bus_call B "$stale" RemoteDevice Attach 'a{sv}' 0
on A p2pusb share "$usb"

step 'a disk that A has mounted since it shared it'
wait_for 5 "A's own kernel has the disk" has_driver "$usb" usb-storage
disk_ready "$usb"
mkfs.ext4 -q -F "$disk"
mkdir -p /mnt/refusals
on A mount "$disk" /mnt/refusals
wait_for 5 'B is offered the disk' offered B A 'Lab disk'
expect_failure "$failed|$refused" 'depends on it: .*mounted at /mnt/refusals' on B p2pusb attach 'Lab disk'
expect_equal 'the driver of the disk' usb-storage "$(driver_of "$usb")"
on A umount /mnt/refusals

step 'taking a share back while it is used'
attach B A disk
disk_ready "$attached"
on A p2pusb unshare "$usb"
wait_for 2 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended' 'Lab disk: share-revoked' "$(ended_reasons B | tail -n 1)"
wait_for 2 "A's own kernel has the disk back" has_driver "$usb" usb-storage
on A p2pusb share "$usb"

step 'a share names C alone from now on: B, which has the disk, loses it, and does not even see it'
attach B A disk
on A p2pusb change "$usb" --peer "$(host_name C)"
wait_for 2 "B's attachment is gone" attachments_are B 0
wait_for 5 'C is offered the disk' offered C A 'Lab disk'
expect 'B is not offered it' not remote_device B A 'Lab disk'
expect_failure "$no_such_thing" '.' on B p2pusb attach 'Lab disk'

step 'A forgets C while C uses the disk'
attach C A disk
disk_ready "$attached"
on A p2pusb forget "$(host_name C)"
wait_for 2 "C's attachment is gone" attachments_are C 0
expect_equal 'why it ended' 'Lab disk: peer-forgotten' "$(ended_reasons C | tail -n 1)"
wait_for 10 'C knows that A refuses it' peer_is C A refused
expect 'C is told why' test -n "$(bus_get C "$(peer_object C A)" Peer LastError)"
expect_match 'p2pusb peers on C' 'refused' "$(on C p2pusb peers)"
expect_failure "$no_such_thing|$refused" '.' on C p2pusb attach 'Lab disk'
wait_for 2 "A's own kernel has the disk back" has_driver "$usb" usb-storage
expect_equal 'peers of A' 1 "$(bus_count A peers)"

step 'nothing is left'
expect 'no vhci port is in use' vhci_is_empty
disk_ready "$usb"
expect_equal 'the disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
