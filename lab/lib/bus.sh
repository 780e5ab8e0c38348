# Looking at the daemons through their bus, as any other program would.
# shellcheck shell=bash

BUS_NAME=org.p2pusb1
BUS_ROOT=/org/p2pusb1

# bus_get NAME PATH INTERFACE PROPERTY prints a property: words without busctl's type and quotes, one line.
bus_get() {
    local name=$1 path=$2 interface=$3 property=$4 value
    value=$(on "$name" busctl get-property "$BUS_NAME" "$path" "$BUS_NAME.$interface" "$property")
    value=${value#* }
    value=${value#\"}
    printf '%s\n' "${value%\"}"
}

# bus_call NAME PATH INTERFACE METHOD [SIGNATURE ARGUMENT...] prints the answer as busctl does.
bus_call() {
    local name=$1 path=$2 interface=$3
    shift 3
    on "$name" busctl --timeout=30 call "$BUS_NAME" "$path" "$BUS_NAME.$interface" "$@"
}

# bus_answer NAME PATH INTERFACE METHOD [SIGNATURE ARGUMENT...]: a method's only answer, without its type and quotes.
bus_answer() {
    local answer
    answer=$(bus_call "$@")
    answer=${answer#* }
    answer=${answer#\"}
    printf '%s\n' "${answer%\"}"
}

# bus_refuses ERROR NAME PATH INTERFACE METHOD [SIGNATURE ARGUMENT...]: the call fails with this error (TicketUsed, or
# InvalidArgs of D-Bus's own). What it said is left in $failure.
bus_refuses() {
    local expected=$1 error said
    shift
    # busctl prints the message of an error alone, and logs its name.
    if said=$(SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console bus_call "$@" 2>&1); then
        fail "$4 is not refused: $said"
        return 1
    fi
    error=$(grep -oE 'error-name=[^ ]+' <<<"$said" | tail -n 1)
    # shellcheck disable=SC2034 # for the scenario
    failure=$(sed -n 's/^Call failed: //p' <<<"$said")
    printf '   %s on %s\n   -> %s: %s\n' "$4" "$1" "${error#*=}" "$failure"
    expect_equal "the error of $4" "$expected" "${error##*.}"
}

# bus_objects NAME KIND prints the paths of all devices, shares, peers or attachments of a host; KIND may go deeper
# (peers/0123456789abcdef/devices).
bus_objects() {
    on "$1" busctl tree --list "$BUS_NAME" | grep -x "$BUS_ROOT/$2/[^/]*" || true
}

# bus_count NAME KIND
bus_count() {
    bus_objects "$1" "$2" | wc -l
}

# peer_object NAME OTHER: the object that host OTHER is on host NAME's bus.
peer_object() {
    local id
    id=$(bus_get "$2" "$BUS_ROOT" Manager EndpointId)
    printf '%s/peers/%s\n' "$BUS_ROOT" "${id:0:16}"
}

# peer_state NAME OTHER
peer_state() {
    bus_get "$1" "$(peer_object "$1" "$2")" Peer State
}

# bus_is EXPECTED NAME PATH INTERFACE PROPERTY: whether a property has a value now; for wait_for.
bus_is() {
    local expected=$1
    shift
    [[ $(bus_get "$@") == "$expected" ]]
}

# remote_devices NAME OTHER: the objects of what OTHER offers to NAME.
remote_devices() {
    local peer
    peer=$(peer_object "$1" "$2")
    bus_objects "$1" "${peer#"$BUS_ROOT/"}/devices"
}

# remote_devices_are COUNT NAME OTHER: whether OTHER offers so many; for wait_for.
remote_devices_are() {
    [[ $(remote_devices "$2" "$3" | wc -l) == "$1" ]]
}

# remote_device NAME OTHER PRODUCT: the object of one of them, by its product name.
remote_device() {
    local object
    for object in $(remote_devices "$1" "$2"); do
        if [[ $(bus_get "$1" "$object" RemoteDevice Product) == "$3" ]]; then
            echo "$object"
            return
        fi
    done
    return 1
}

# attachments NAME
attachments() {
    bus_objects "$1" attachments
}

# attachments_are NAME COUNT; for wait_for.
attachments_are() {
    [[ $(bus_count "$1" attachments) == "$2" ]]
}

# shares_are NAME COUNT; for wait_for.
shares_are() {
    [[ $(bus_count "$1" shares) == "$2" ]]
}

# share_state NAME: the state of a host's only share.
share_state() {
    bus_get "$1" "$(bus_objects "$1" shares)" Share State
}

# share_is NAME STATE; for wait_for.
share_is() {
    [[ $(share_state "$1") == "$2" ]]
}

# attached_path NAME [PRODUCT]: the local bus path of the newest attachment (of that product).
attached_path() {
    local object path=
    for object in $(attachments "$1" | sort -V); do
        if [[ -z ${2:-} || $(bus_get "$1" "$object" Attachment Product) == "$2" ]]; then
            path=$(bus_get "$1" "$object" Attachment LocalBusPath)
        fi
    done
    [[ -n $path ]] && echo "$path"
}

# ended_reasons NAME: product and reason of the attachments that ended, oldest first, one a line.
ended_reasons() {
    local words
    words=$(on "$1" busctl get-property "$BUS_NAME" "$BUS_ROOT" "$BUS_NAME.Manager" RecentlyEnded)
    # a(tsss) COUNT, then a number and three quoted strings for each.
    grep -oE '[0-9]+ "[^"]*" "[^"]*" "[^"]*"' <<<"$words" | awk -F'"' '{ print $4 ": " $6 }' || true
}
