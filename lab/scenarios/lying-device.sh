#!/bin/bash
# title: a device that lies about itself harms neither machine nor daemon, and a disk beside it goes on
# machines: uml
# clock: virtual
# timeout: 300
. "${0%/*}/../lib/lab.sh"

LIES='nothing total-over total-under total-grows endpoints interfaces number duplicate zero packet-size configurations
    name changes two-faced silent'
# What lab-tool's device is: vendor and product.
LIAR=0525:a4ac
# What kernels say when something went wrong in them.
TROUBLE='WARNING:|BUG:|Oops|Call Trace|UBSAN|KASAN|general protection|[Pp]anic'
# By how many kilobytes all lies together may let a daemon grow.
GROWTH=16384

# liar_settled: A's kernel has taken the device or given it up.
liar_settled() {
    device_path lie || dmesg | grep -q 'unable to enumerate USB device'
}

# made_of BUSPATH: what a kernel has made of a device.
made_of() {
    local folder=/sys/bus/usb/devices/$1 interfaces endpoints drivers=() link
    if [[ ! -e $folder ]]; then
        echo 'no device'
        return
    fi
    interfaces=$(find "$folder/" -maxdepth 1 -name "$1:*" | wc -l)
    endpoints=$(find "$folder/" -maxdepth 2 -path "*/$1:*/ep_*" | wc -l)
    for link in "$folder/$1":*/driver; do
        if [[ -e $link ]]; then drivers+=("$(basename "$(realpath "$link")")"); fi
    done
    echo "interfaces $interfaces, endpoints $endpoints${drivers[*]:+, ${drivers[*]}}"
}

# settled BUSPATH: a kernel has configured the device, which is locked until then, or has said that it can not.
settled() {
    [[ -n $(<"/sys/bus/usb/devices/$1/bConfigurationValue") ]] || dmesg | grep -qE "usb $1: can.t (set config|read conf)"
}

# b_settled BUSPATH: B's kernel knows what to make of it, or it is gone again.
b_settled() {
    settled "$1" || attachments_are B 1
}

# liar_unshared: nothing but the disk is shared.
liar_unshared() {
    [[ $(bus_count A shares) == 1 ]]
}

# liar_offered: B sees another device than the disk.
liar_offered() {
    (($(remote_devices B A | wc -l) == 2))
}

# all_well: both daemons go on, no kernel is in trouble, and the disk works.
all_well() {
    local host
    for host in A B; do
        expect_equal "p2pusbd on $host" "${pids[$host]}" "$(daemon_pid "$host")"
        expect "p2pusbd on $host goes on" not test -e "$LAB_HOSTS/$host/exit-status"
        expect "p2pusbd on $host does not panic" not daemon_logged "$host" 'panicked'
        expect_match "p2pusb status on $host" 'disk' "$(on "$host" p2pusb status)"
    done
    expect_equal "trouble of the kernel" '' "$(dmesg | grep -E "$TROUBLE" || true)"
    dd if="$disk" of=/dev/null bs=64k count=4 iflag=direct status=none
}

# lie LIE plugs such a device in, shares and attaches it, and adds what came of it to the table.
lie() {
    local lie=$1 liar usb status=0 said=- here='no device' there=-
    step "lie: $lie"
    dmesg --clear
    lab-tool lying-device "$socket" "$lie" &
    liar=$!
    wait_for 30 "A's kernel knows what to make of '$lie'" liar_settled
    if usb=$(device_path lie); then
        wait_for 5 "A's kernel has configured it" settled "$usb"
        here=$(made_of "$usb")
        wait_for 5 'p2pusbd sees it' on A p2pusb share "$usb"
        wait_for 10 'B is offered it' liar_offered
        said=$(on B p2pusb attach --once "$LIAR" 2>&1) || status=$?
        expect 'p2pusb says what came of it' test -n "$said"
        expect "it says nothing to the terminal" not grep -q $'[\e\r]' <<<"$said"
        if ((status == 0)); then
            attached=$(attached_path B)
            wait_for 20 "B's kernel knows what to make of it" b_settled "$attached"
            there=$(made_of "$attached")
        fi
        case $lie in
        # The reset before it is lent shows that it is another device, which is not lent in its place.
        changes)
            expect_match 'why it is not attached' 'not plugged in any more' "$said"
            wait_for 10 "A's kernel has what it is now" device_path lie
            ;;
        # A's kernel has seen its better side twice: when it was plugged in, and in that reset.
        two-faced)
            expect_match 'why it is not attached' 'not accepted here: it presents a keyboard .03:01:01.' "$said"
            expect "B's kernel has bound no driver to it" not grep -qE 'input:|hid-generic' <<<"$(dmesg)"
            ;;
        # Its driver on A waits for the answer to a command before it lets go.
        silent) expect_match 'why it is not attached' 'took too long' "$said" ;;
        *) expect_equal "what B's kernel makes of what A's kernel took" "$here" "$there" ;;
        esac
        if ((status > 0)); then
            expect_equal 'attachments of B' 1 "$(bus_count B attachments)"
        elif ! attachments_are B 1; then
            on B p2pusb detach "$LIAR"
        fi
        on A p2pusb unshare lie
        wait_for 5 'it is not shared any more' liar_unshared
    elif [[ $lie == nothing ]]; then
        fail "A's kernel does not even take the device that tells the truth"
    fi
    dmesg | grep -E 'usb [0-9-]+: (config|too many|device|can.t|unable|reset|string)' | sed 's/^/   /' || true
    table+=$(printf '%s\t%s\t%s\t%s' "$lie" "$here" "${said//$'\n'/ }" "$there")$'\n'
    kill "$liar"
    wait "$liar" || true
    wait_for 5 'it is pulled out' not device_path lie
    wait_for 5 'B is not offered it any more' not liar_offered
    all_well
}

step 'B uses a disk of A'
host_start A exporter
host_start B importer
gadget_disk disk 16M
on A p2pusb share "$(device_path disk)"
pair A B
attach B A disk
disk_ready "$attached"
sockets=(/sys/class/udc/dummy_udc.*)
socket=${sockets[-1]##*/}
declare -A pids=([A]=$(daemon_pid A) [B]=$(daemon_pid B)) before=([A]=$(daemon_rss A) [B]=$(daemon_rss B))

table=$'lie\tA'"'"$'s kernel\tp2pusb\tB'"'"$'s kernel\n'
for one in $LIES; do lie "$one"; done
step 'what came of them'
column -t -s $'\t' <<<"$table"

step 'the daemons have not grown'
for host in A B; do
    grown=$(($(daemon_rss "$host") - before[$host]))
    echo "   p2pusbd on $host: ${before[$host]} KiB, and $grown more since"
    expect "p2pusbd on $host has grown by $grown KiB" test "$grown" -lt "$GROWTH"
done

step 'the disk attaches anew, and is what it was'
detach B disk
expect 'no vhci port is in use' vhci_is_empty
attach B A disk
disk_ready "$attached"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
