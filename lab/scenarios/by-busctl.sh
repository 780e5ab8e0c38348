#!/bin/bash
# title: what p2pusb can be asked for, by busctl alone
# machines: uml
# clock: virtual
# timeout: 300
#
# Not here: AttachWithGuard, because busctl can't keep the file descriptor that it is answered with. by-python has it.
. "${0%/*}/../lib/lab.sh"

# attachment_is STATE NAME: the state of a host's only attachment; for wait_for.
attachment_is() {
    [[ $(bus_get "$2" "$(attachments "$2")" Attachment State) == "$1" ]]
}

# invite SIGNATURE... : a ticket of A with these options.
invite() {
    bus_answer A "$BUS_ROOT" Manager CreateTicket 'a{sv}' "$@"
}

# share OPTIONS... : A shares the disk; the object is in $share.
share() {
    share=$(bus_answer A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$device" "$@")
    wait_for 5 'it is available' share_is A available
}

# take NAME OPTIONS... : a host attaches the disk; the objects are in $attachment and $disk.
take() {
    local name=$1
    shift
    wait_for 10 "$name is offered the disk" offered "$name" A 'Lab disk'
    attachment=$(bus_answer "$name" "$(remote_device "$name" A 'Lab disk')" RemoteDevice Attach 'a{sv}' "$@")
    wait_for 5 'it is attached' attachment_is attached "$name"
    disk_ready "$(bus_get "$name" "$attachment" Attachment LocalBusPath)"
}

# revoked: A ends the share, and has the disk back.
revoked() {
    bus_call A "$share" Share Revoke 'a{sv}' 0
    expect_equal 'shares of A' 0 "$(bus_count A shares)"
    wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
}

# ended NAME: why a host's last attachment ended.
ended() {
    ended_reasons "$1" | tail -n 1
}

step 'A, B and C are started, and nobody there has the command p2pusb'
mount --bind /dev/null "$LAB_BIN/p2pusb"
host_start A exporter
host_start B importer
host_start C importer
gadget_disk disk 16M
gadget_serial serial
usb=$(device_path disk)
device=$BUS_ROOT/devices/${usb//[^A-Za-z0-9]/_}
wait_for 5 "A's daemon has the disk" bus_is available A "$device" Device State
expect_equal 'its product' 'Lab disk' "$(bus_get A "$device" Device Product)"

step 'what A can not share, and what it is asked for wrongly'
bus_refuses DeviceExcluded A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$BUS_ROOT/devices/usb1" 0
bus_refuses DeviceGone A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$BUS_ROOT/devices/9_9" 0
for wrong in 'color s red' 'force s yes' 'grace u 3601' 'expires-usec t 999999' 'session-limit u 9' \
    'windows as 1 noon'; do
    # shellcheck disable=SC2086 # key, type and value
    bus_refuses InvalidArgs A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$device" 1 $wrong
done
disk_ready "$usb"
mkfs.ext4 -q -F "$disk"
mkdir -p /mnt/by-busctl
on A mount "$disk" /mnt/by-busctl
bus_refuses DeviceSensitive A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$device" 0
on A umount /mnt/by-busctl
expect_equal 'shares of A' 0 "$(bus_count A shares)"

step 'tickets: nonsense, forged, of this very machine, expired, used'
bus_refuses TicketInvalid B "$BUS_ROOT" Manager AddPeer 'sa{sv}' nonsense 0
ticket=$(invite 0)
bus_refuses TicketInvalid A "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$ticket" 0
bus_refuses TicketInvalid B "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$(ticket_forge "$ticket")" 0
bus_refuses InvalidArgs A "$BUS_ROOT" Manager CreateTicket 'a{sv}' 1 expires-usec t 1
short=$(invite 1 expires-usec t 1000000)
sleep 2 # of the guest's clock: the ticket's own lifetime
bus_refuses TicketExpired B "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$short" 0
peer=$(bus_answer B "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$ticket" 0)
expect_equal 'the object of A on B' "$(peer_object B A)" "$peer"
wait_for 10 'B sees A online' peer_is B A online
bus_refuses TicketUsed C "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$ticket" 0
bus_answer C "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$(invite 0)" 0
wait_for 10 'A sees C online' peer_is A C online

step 'A shares the disk, with every option that there is'
share 7 peers ao 1 "$(peer_object A B)" force b true grace u 20 expires-usec t 3600000000 once b true \
    windows as 1 00:00-24:00 session-limit u 600
while read -r property expected; do
    expect_equal "$property" "$expected" "$(bus_get A "$share" Share "$property")"
done <<PROPERTIES
Device $device
Product Lab disk
Origin person
Peers 1 "$(peer_object A B)
Grace 20
Once true
Windows 1 "00:00-24:00
SessionLimit 600
State available
OwnerUid 0
PROPERTIES
expires=$(bus_get A "$share" Share Expires)
expect 'it ends in an hour' test $((expires / 1000000 - $(date +%s))) -gt 3500
bus_refuses AlreadyShared A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$device" 0
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
expect 'C is not' not remote_device C A 'Lab disk'

step 'once: B has it, every byte, and with its end the share is over'
take B 2 keep b false grace u 30
attachment_grace=$(bus_get B "$attachment" Attachment Grace)
expect_equal 'the grace time of the attachment' 30 "$attachment_grace"
expect_equal 'whom A has lent it to' "$(peer_object A B)" "$(bus_get A "$share" Share ClaimedBy)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
lab-tool random /dev/shm/new 1048576 2
dd if=/dev/shm/new of="$disk" bs=64k oflag=direct conv=fsync status=none
expect 'what B has written is on it' cmp --bytes=1048576 /dev/shm/new "$(gadget_file disk)"
bus_refuses AlreadyAttached B "$(remote_device B A 'Lab disk')" RemoteDevice Attach 'a{sv}' 0
bus_call B "$attachment" Attachment Detach 'a{sv}' 0
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"
wait_for 2 'A does not share it any more' shares_are A 0
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage

step 'a queue: C waits for what B has, and gets it; B waits behind C'
share 0
take B 0
bus_refuses DeviceBusy C "$(remote_device C A 'Lab disk')" RemoteDevice Attach 'a{sv}' 0
bus_call C "$(remote_device C A 'Lab disk')" RemoteDevice Attach 'a{sv}' 1 queue b true
expect 'C waits' attachment_is waiting C
wait_for 5 'C is in the queue' bus_is "1 \"$(peer_object A C)" A "$share" Share Queue
bus_call B "$attachment" Attachment Detach 'a{sv}' 0
wait_for 5 'it is the turn of C' attachment_is attached C
bus_call B "$(remote_device B A 'Lab disk')" RemoteDevice Attach 'a{sv}' 1 queue b true
wait_for 5 'B is in the queue' bus_is "1 \"$(peer_object A B)" A "$share" Share Queue

step 'A takes it back for now, and gives it again: to B, which has waited for longer'
bus_call A "$share" Share SetPaused 'ba{sv}' true 0
wait_for 5 'A has it' share_is A paused
wait_for 5 "A's own kernel has the disk" has_driver "$usb" usb-storage
wait_for 5 'C waits' attachment_is waiting C
expect_equal 'why it ended on C' 'Lab disk: taken-back' "$(ended C)"
bus_call A "$share" Share SetPaused 'ba{sv}' false 0
wait_for 5 'B has it' attachment_is attached B
bus_call C "$(attachments C)" Attachment Detach 'a{sv}' 0
bus_refuses UnknownObject C "$BUS_ROOT/attachments/1" Attachment Detach 'a{sv}' 0

step 'A changes its mind: another grace time, and C alone'
bus_refuses InvalidArgs A "$share" Share SetGrace 'ua{sv}' 3601 0
bus_call A "$share" Share SetGrace 'ua{sv}' 45 0
expect_equal 'the grace time' 45 "$(bus_get A "$share" Share Grace)"
bus_refuses PeerUnknown A "$share" Share SetPeers 'aoa{sv}' 1 "$BUS_ROOT/peers/0123456789abcdef" 0
bus_call A "$share" Share SetPeers 'aoa{sv}' 1 "$(peer_object A C)" 0
wait_for 5 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended on B' 'Lab disk: share-revoked' "$(ended B)"
wait_for 10 'C is offered it' offered C A 'Lab disk'
revoked

step 'for ten seconds at a time: B is warned, and loses it'
share 1 session-limit u 10
take B 0
expect_equal 'the end is not near' 0 "$(bus_get B "$attachment" Attachment EndsAt)"
sleep 8.6 # of the nine before the warning
wait_for 2 'B knows when it ends' not bus_is 0 B "$attachment" Attachment EndsAt
sleep 0.6 # of the last one
wait_for 2 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended on B' 'Lab disk: session-limit' "$(ended B)"
revoked

step 'at certain hours: they end after the next minute'
left=$((120 - 10#$(date +%S)))
share 1 windows as 1 "$(hours 0 120)"
take B 0
sleep "$left" # until they end
wait_for 5 'B waits for the next hours' attachment_is waiting B
expect_equal 'why it ended on B' 'Lab disk: hours-over' "$(ended B)"
wait_for 5 'it is closed' share_is A closed
bus_call B "$attachment" Attachment Detach 'a{sv}' 0
wait_for 5 'B sees the disk' remote_device B A 'Lab disk'
bus_refuses DeviceBusy B "$(remote_device B A 'Lab disk')" RemoteDevice Attach 'a{sv}' 0
revoked

step 'a guest: a ticket for the disk alone, for half a minute'
share 0
serial=$BUS_ROOT/devices/$(device_path serial | tr -c 'A-Za-z0-9\n' _)
other=$(bus_answer A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$serial" 0)
wait_for 10 'B is offered the serial adapter' offered B A 'Lab serial'
bus_answer B "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$(invite 2 share o "$share" access-usec t 30000000)" 0
expect_equal 'what B may have' "$share" "$(bus_get A "$(peer_object A B)" Peer Scope)"
wait_for 10 'B is not offered the serial adapter' not remote_device B A 'Lab serial'
take B 0
ticket=$(invite 1 share o "$other")
bus_call A "$other" Share Revoke 'a{sv}' 0
bus_refuses NotShared C "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$ticket" 0
sleep 30 # of its time
has_forgotten() { [[ $(bus_count A peers) == 1 ]]; }
wait_for 5 'A has forgotten B by itself' has_forgotten
wait_for 5 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended on B' 'Lab disk: peer-forgotten' "$(ended B)"
bus_answer B "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$(invite 0)" 0
wait_for 10 'B sees A online' peer_is B A online

step 'a name for A, and B blocked'
bus_call B "$(peer_object B A)" Peer SetLabel 'sa{sv}' workshop 0
expect_equal 'what B calls A' workshop "$(bus_get B "$(peer_object B A)" Peer Label)"
bus_refuses LabelTaken A "$(peer_object A B)" Peer SetLabel 'sa{sv}' host-c 0
bus_refuses InvalidArgs A "$(peer_object A B)" Peer SetLabel 'sa{sv}' ' ' 0
take B 0
bus_refuses InvalidArgs A "$(peer_object A B)" Peer SetTrust 'sa{sv}' perhaps 0
bus_call A "$(peer_object A B)" Peer SetTrust 'sa{sv}' blocked 0
wait_for 5 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended on B' 'Lab disk: peer-blocked' "$(ended B)"
bus_refuses PeerBlocked A "$BUS_ROOT" Manager AddPeer 'sa{sv}' \
    "$(bus_answer B "$BUS_ROOT" Manager CreateTicket 'a{sv}' 0)" 0
wait_for 40 'B knows that A refuses it' peer_is B A refused
bus_call A "$(peer_object A B)" Peer SetTrust 'sa{sv}' paired 0
wait_for 40 'B sees A online' peer_is B A online
take B 0
bus_call B "$attachment" Attachment Detach 'a{sv}' 0
revoked

step "A's udev shares the disk: B sees it within two seconds, and has it again when it was pulled out"
udev_rule A "ATTR{idProduct}==\"a4a5\", ENV{P2PUSB_SHARE}=\"1\", ENV{P2PUSB_PEERS}=\"$(host_name B)\""
wait_for 2 'B is offered the disk' offered B A 'Lab disk'
share=$(bus_objects A shares)
expect_equal 'where the share comes from' udev "$(bus_get A "$share" Share Origin)"
bus_refuses ShareDerived A "$share" Share Revoke 'a{sv}' 0
take B 0
gadget_unplug disk
wait_for 2 'B waits for it' attachment_is waiting B
expect_equal 'why it ended on B' 'Lab disk: device-unplugged' "$(ended B)"
gadget_plug disk
wait_for 5 'B has it again' attachment_is attached B
bus_call B "$attachment" Attachment Detach 'a{sv}' 0
udev_rule A ''
wait_for 5 'A shares nothing' shares_are A 0

step 'a disk that turns into a keyboard'
sockets=(/sys/class/udc/dummy_udc.*)
lab-tool lying-device "${sockets[-1]##*/}" two-faced &
liar=$!
wait_for 10 "A's kernel has it" device_path lie
lie=$BUS_ROOT/devices/$(device_path lie | tr -c 'A-Za-z0-9\n' _)
wait_for 10 "A's daemon has it" bus_is available A "$lie" Device State
share=$(bus_answer A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$lie" 0)
wait_for 10 'B is offered it' remote_devices_are 1 B A
bus_refuses DeviceNotAccepted B "$(remote_devices B A)" RemoteDevice Attach 'a{sv}' 0
bus_call A "$share" Share Revoke 'a{sv}' 0
kill "$liar"
wait "$liar" || true

step 'who may: somebody without rights may look, and nothing else'
as_nobody() {
    on A setpriv --reuid=nobody --regid=nogroup --clear-groups busctl --timeout=30 "$@"
}
expect_match 'what nobody sees' running "$(as_nobody get-property "$BUS_NAME" "$BUS_ROOT" "$BUS_NAME.Manager" State)"
expect_failure 1 'authorization|not authorized|access denied' \
    as_nobody call "$BUS_NAME" "$BUS_ROOT" "$BUS_NAME.Manager" CreateTicket 'a{sv}' 0

step 'settings: wrong ones change nothing, good ones are in effect, and what needs a restart is said'
settings() {
    printf '%s\n' "$@" | on A tee /etc/p2pusb/p2pusb.toml >/dev/null
}
wait_for 5 "A's daemon has the disk" bus_is available A "$device" Device State
share 0
settings '[session]' 'grace = "long"'
bus_refuses SettingsInvalid A "$BUS_ROOT" Manager Reload 'a{sv}' 0
expect_match 'what it says' 'p2pusb.toml, line 2' "$failure"
expect_equal 'the grace time' 60 "$(bus_get A "$share" Share Grace)"
settings '[session]' 'grace = 33' '[network]' 'bind = ["0.0.0.0:47800"]'
expect_equal 'what needs a restart' 'as 1 "network.bind"' "$(bus_call A "$BUS_ROOT" Manager Reload 'a{sv}' 0)"
expect_equal 'the grace time' 33 "$(bus_get A "$share" Share Grace)"
expect_match 'what the daemon says of itself' '"vhci-ports" "(ok|note|problem)" "' \
    "$(bus_call A "$BUS_ROOT" Manager Diagnose 'a{sv}' 0)"

step 'A forgets B, which has the disk'
take B 0
bus_call A "$(peer_object A B)" Peer Forget 'a{sv}' 0
wait_for 5 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended on B' 'Lab disk: peer-forgotten' "$(ended B)"
wait_for 40 'B knows that A refuses it' peer_is B A refused
bus_refuses PeerUnknown A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$serial" 1 \
    peers ao 1 "$BUS_ROOT/peers/0123456789abcdef"
revoked
expect 'no vhci port is in use' vhci_is_empty
