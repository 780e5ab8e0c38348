#!/bin/bash
# title: the package under systemd: unit, sandbox, system bus, polkit, journal, new settings, and completion in a shell
# machines: uml
# init: systemd
# clock: real
# timeout: 300
# needs: P2PUSB_DEB
. "${0%/*}/../lib/lab.sh"

# call_as_nobody OBJECT INTERFACE METHOD [SIGNATURE ARGUMENT...]: on A, as somebody without any rights.
call_as_nobody() {
    local object=$1 interface=$2
    shift 2
    setpriv --reuid=nobody --regid=nogroup --clear-groups \
        busctl --timeout=30 call "$BUS_NAME" "$object" "$BUS_NAME.$interface" "$@"
}

# journal MATCH...: what the daemon of the package said, with that field.
journal() {
    journalctl --sync
    journalctl --quiet --no-pager --output=cat _SYSTEMD_UNIT=p2pusbd.service "$@"
}

unit_is_active() {
    [[ $(systemctl show --property=ActiveState --value p2pusbd) == active ]]
}

step 'the package is installed, and nothing is enabled or started'
host_machine A
package_install
expect 'the daemon does not run' not unit_is_active
expect_match 'whether the unit is enabled' '^disabled$' "$(systemctl is-enabled p2pusbd || true)"

step 'systemctl enable --now'
gadget_disk disk 16M
usb=$(device_path disk)
wait_for 5 "A's own kernel has the disk" has_driver "$usb" usb-storage
systemctl enable --now p2pusbd
expect 'the unit is active' unit_is_active
expect_equal 'what the daemon says of itself' running "$(bus_get A "$BUS_ROOT" Manager State)"
device=$BUS_ROOT/devices/${usb//[^A-Za-z0-9]/_}
expect_match 'the objects on the bus' "$device" "$(busctl tree --list "$BUS_NAME")"
expect_equal 'the disk on the bus' 'Lab disk' "$(bus_get A "$device" Device Product)"

step 'polkit: who may share'
expect_failure 1 'access denied|not authorized' \
    call_as_nobody "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$device" 0
expect_equal 'shares' 0 "$(bus_count A shares)"
cat >/etc/polkit-1/rules.d/10-lab.rules <<'RULES'
polkit.addRule(function(action, subject) {
    if (action.id == "org.p2pusb1.share-device" && subject.user == "nobody")
        return polkit.Result.YES;
});
RULES
wait_for 20 'polkit follows the new rule' \
    call_as_nobody "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$device" 0
share=$(bus_objects A shares)
expect_equal 'whose share it is' "$(id -u nobody)" "$(bus_get A "$share" Share OwnerUid)"
expect_failure 1 'access denied|not authorized' call_as_nobody "$BUS_ROOT" Manager CreateTicket 'a{sv}' 0
call_as_nobody "$share" Share Revoke 'a{sv}' 0
expect_equal 'shares after that' 0 "$(bus_count A shares)"
rm /etc/polkit-1/rules.d/10-lab.rules

step 'somebody types in a shell, and Tab completes the device'
mkfifo /run/keys
TERM=dumb script --quiet --flush --command 'bash --norc -i' /run/terminal </run/keys >/dev/null &
exec {keys}>/run/keys
printf 'PS1=ready:; . /usr/share/bash-completion/completions/p2pusb\n' >&"$keys"
wait_for 10 'the shell is ready' grep -q '^ready:' /run/terminal
printf 'p2pusb sh\t%s\t' "${usb%?}" >&"$keys"
wait_for 10 'verb and device are complete' grep -q "ready:p2pusb share $usb " /run/terminal
printf '\n' >&"$keys"
wait_for 10 'it is shared' shares_are A 1
printf 'exit\n' >&"$keys"
exec {keys}>&-
bus_call A "$(bus_objects A shares)" Share Revoke 'a{sv}' 0

step 'the disk, by bus calls alone'
host_start B importer
bus_answer A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$device" 0
ticket=$(bus_answer A "$BUS_ROOT" Manager CreateTicket 'a{sv}' 0)
bus_answer B "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$ticket" 0
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
attachment=$(bus_answer B "$(remote_device B A 'Lab disk')" RemoteDevice Attach 'a{sv}' 0)
attached=$(bus_get B "$attachment" Attachment LocalBusPath)
disk_ready "$attached"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
bus_call B "$attachment" Attachment Detach 'a{sv}' 0
wait_for 5 'no port is in use' vhci_is_empty
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage

step 'systemctl reload, while B has it'
wait_for 10 'B is offered the disk again' offered B A 'Lab disk'
attachment=$(bus_answer B "$(remote_device B A 'Lab disk')" RemoteDevice Attach 'a{sv}' 0)
printf '%s\n' '[session]' 'grace = 17' >/etc/p2pusb/p2pusb.toml
systemctl reload p2pusbd
expect_equal 'the grace time of the share' 17 "$(bus_get A "$(bus_objects A shares)" Share Grace)"
echo 'grace = 18' >/etc/p2pusb/p2pusb.toml
expect_failure 1 'p2pusbd.service' systemctl reload p2pusbd
expect 'the unit is active' unit_is_active
expect_equal 'the grace time of the share' 17 "$(bus_get A "$(bus_objects A shares)" Share Grace)"
expect_match 'what the journal says' 'p2pusb.toml, line 1' "$(journal)"
: >/etc/p2pusb/p2pusb.toml
systemctl reload p2pusbd
expect_equal "B's attachment" attached "$(bus_get B "$attachment" Attachment State)"

step 'p2pusb logs'
# logs OPTION...: what p2pusb says that the daemon has said.
logs() {
    journalctl --sync
    p2pusb logs "$@"
}
logs --lines 5
expect_match 'of the device' "claimed" "$(logs --device "$usb")"
expect_match 'of B' 'connected to host-b' "$(logs --peer host-b)"
expect_match 'of both' 'claimed' "$(logs --peer host-b --device "$usb")"
expect 'not of B alone' not grep -q 'connected to host-b' <<<"$(logs --peer host-b --device "$usb")"
expect_equal 'of no such attachment' '' "$(p2pusb --json logs --attachment 77)"
expect_equal 'one entry' 1 "$(logs --json --lines 1 | jq --slurp length)"
expect_equal 'whose it is' p2pusbd.service "$(logs --json --lines 1 | jq --raw-output ._SYSTEMD_UNIT)"
p2pusb logs --follow --lines 1 >/run/followed &
follower=$!
wait_for 5 'it follows' test -s /run/followed
bus_call A "$(peer_object A B)" Peer SetLabel 'sa{sv}' desk 0
wait_for 5 'it goes on' grep -q 'called desk from now on' /run/followed
kill "$follower"

step 'systemctl stop while B has it'
systemctl stop p2pusbd
expect_equal 'how the unit ended' success "$(systemctl show --property=Result --value p2pusbd)"
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
wait_for 10 "B's attachment waits" bus_is waiting B "$attachment" Attachment State
wait_for 5 'no port is in use' vhci_is_empty
expect 'nothing is left in /run' not test -e /run/p2pusb
expect_equal 'why it ended on B' 'Lab disk: peer-stopped' "$(ended_reasons B | tail -n 1)"
bus_call B "$attachment" Attachment Detach 'a{sv}' 0
expect_equal 'attachments of B' 0 "$(bus_count B attachments)"

step 'the other direction: the sandbox lets A attach and detach'
systemctl start p2pusbd
daemon_stop B
# A attaches its own disk through a host that has no vhci.
host_start C exporter
bus_answer A "$(bus_objects A shares)" Share Revoke 'a{sv}' 0
bus_answer C "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$device" 0
ticket=$(bus_answer C "$BUS_ROOT" Manager CreateTicket 'a{sv}' 0)
bus_answer A "$BUS_ROOT" Manager AddPeer 'sa{sv}' "$ticket" 0
wait_for 10 'A is offered the disk' offered A C 'Lab disk'
attachment=$(bus_answer A "$(remote_device A C 'Lab disk')" RemoteDevice Attach 'a{sv}' 0)
disk_ready "$(bus_get A "$attachment" Attachment LocalBusPath)"
expect_equal 'the whole disk, read by A' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
bus_call A "$attachment" Attachment Detach 'a{sv}' 0
wait_for 5 'no port is in use' vhci_is_empty
wait_for 5 'the disk has its driver back' has_driver "$usb" usb-storage
expect_match 'what A has logged of it' 'is attached' "$(logs --attachment "${attachment##*/}")"
systemctl stop p2pusbd

step 'the journal'
expect_match 'what the journal says of the device' . "$(journal "P2PUSB_DEVICE=$usb")"
journal "P2PUSB_DEVICE=$usb"
expect 'nothing was refused by the sandbox' not grep -iE 'permission denied|read-only file system|not permitted' <<<"$(journal)"
