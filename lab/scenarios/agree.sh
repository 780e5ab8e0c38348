#!/bin/bash
# title: people are asked: whether two machines that show the same code are paired, and whether a peer may have a device
# machines: uml
# clock: virtual
# timeout: 240
. "${0%/*}/../lib/lab.sh"

# begin NAME ARGUMENT...: `p2pusb ARGUMENT...` in the background, with somebody in front of it.
begin() {
    local home=$LAB_HOSTS/$1 name=$1
    shift
    rm -f "$home"/{answers,said,exit}
    mkfifo "$home/answers"
    {
        local code=0
        on "$name" p2pusb "$@" <"$home/answers" >"$home/said" 2>&1 || code=$?
        echo "$code" >"$home/exit"
    } &
    exec {answers[$name]}>"$home/answers"
}

declare -A answers=()

# shows NAME: the code that somebody sees on NAME; for wait_for.
shows() {
    grep -oE '^ +[0-9]{3} [0-9]{3}$' "$LAB_HOSTS/$1/said"
}

says() {
    grep -qE "$2" "$LAB_HOSTS/$1/said"
}

# answer NAME WORD
answer() {
    echo "$2" >&"${answers[$1]}"
}

# ends NAME CODE
ends() {
    wait_for 20 "p2pusb on $1 ends" test -s "$LAB_HOSTS/$1/exit"
    cat "$LAB_HOSTS/$1/said"
    expect_equal "its exit code on $1" "$2" "$(<"$LAB_HOSTS/$1/exit")"
}

# both_show: both show a code, the same.
both_show() {
    wait_for 20 'A shows a code' shows A
    wait_for 20 'B shows a code' shows B
    expect_equal 'the codes' "$(shows A)" "$(shows B)"
}

# finds NAME OTHER: whether NAME lists OTHER among the machines that it has found; for wait_for.
finds() {
    on "$1" p2pusb peers --discovered 2>/dev/null | grep -q "^$(host_name "$2") "
}

step 'nobody announces itself'
for host in A B; do
    host_up "$host"
    # Multicast goes where the default route leads.
    net_gateway "$host"
done
daemon_start A
daemon_start B
id=$(bus_get A "$BUS_ROOT" Manager EndpointId)
sleep 15 # of the guest's clock: B asks every ten seconds
expect 'B does not find A' not finds B A
expect_failure 7 'not found on the local network' on B p2pusb pair --with "$id" </dev/null
expect_failure 3 'no machine' on B p2pusb pair --with nobody </dev/null
expect_failure 1 'NobodyToAsk|nobody can be asked' on B busctl call "$BUS_NAME" "$BUS_ROOT" "$BUS_NAME.Manager" \
    ProposePairing 'sa{sv}' "$id" 0

step 'machines may ask A, and so it announces itself'
begin A pair --accept
wait_for 20 'machines may ask A' bus_is true A "$BUS_ROOT" Manager AcceptingPeers
sleep 15 # of the guest's clock
wait_for 2 'B finds A' finds B A

step 'no on A'
begin B pair --with HOST-A
both_show
answer A n
ends B 6
expect 'B is told why' says B 'nobody there has agreed'
expect 'A goes on' says A 'may still ask'

step 'B is declined for as long as this goes on, and is not shown again'
begin B pair --with host-a
ends B 6
expect_equal 'questions on A' 1 "$(grep -c 'Pair?' "$LAB_HOSTS/A/said")"
kill "$(pgrep -f 'p2pusb pair --accept')"
wait_for 20 'p2pusb pair on A is gone' test -s "$LAB_HOSTS/A/exit"

step 'where there is nobody any more who could be asked, nobody is'
bus_call A "$BUS_ROOT" Manager SetAcceptingPeers 'ba{sv}' true 0
expect_failure 6 'pair --accept' on B p2pusb pair --with host-a </dev/null

step 'B leaves while A is being asked'
begin A pair --accept --for 10m
wait_for 20 'machines may ask A' says A 'may ask for 10 min'
begin B pair --with host-a
both_show
kill "$(pgrep -f 'p2pusb pair --with')"
wait_for 20 'the question is taken back' says A 'called it off'

step 'yes on both'
begin B pair --with "$id"
wait_for 20 'B shows a code' shows B
expect_equal 'the codes' "$(shows A | tail -n 1)" "$(shows B)"
answer B yes
answer A y
ends B 0
ends A 0
wait_for 20 'B is connected' peer_is B A online
wait_for 20 'A is connected' peer_is A B online
expect_equal 'B is called on A' host-b "$(bus_get A "$(peer_object A B)" Peer Label)"
wait_for 5 'machines may not ask A any longer' bus_is false A "$BUS_ROOT" Manager AcceptingPeers

step 'a disk of A is shared so that somebody is asked'
gadget_disk disk 16M
on A p2pusb share --ask 'Lab disk'
wait_for 10 'B is offered the disk' offered B A 'Lab disk'
expect_failure 6 'p2pusb agent' on B p2pusb attach 'Lab disk'

begin A agent
wait_for 20 'the agent is there' says A 'is asked here'

# asks NUMBER: whether so many questions stand on A; for wait_for.
asks() {
    [[ $(grep -o 'host-b wants to use Lab disk. Let it' "$LAB_HOSTS/A/said" | wc -l) == "$1" ]]
}

step 'no'
on B p2pusb attach 'Lab disk' >"$LAB_HOSTS/B/attach" 2>&1 &
asking=$!
wait_for 20 'A is asked' asks 1
sleep 60 # of the guest's clock: people take longer than machines
answer A n
status=0
wait "$asking" || status=$?
expect_equal 'exit code' 6 "$status"
expect_match 'what B is told' 'nobody there has agreed' "$(<"$LAB_HOSTS/B/attach")"

step 'B does not want it any longer'
on B p2pusb attach 'Lab disk' >"$LAB_HOSTS/B/attach" 2>&1 &
asking=$!
wait_for 20 'A is asked' asks 2
on B p2pusb detach --all
wait_for 20 'the question is taken back' says A 'called it off'
wait "$asking" || true

step 'yes'
on B p2pusb attach 'Lab disk' &
asking=$!
wait_for 20 'A is asked' asks 3
answer A yes
wait "$asking"
disk_ready "$(attached_path B)"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
on B p2pusb detach --all
kill -INT "$(pgrep -f 'p2pusb agent')"
ends A 0
