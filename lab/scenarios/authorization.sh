#!/bin/bash
# title: who may do what: every member that changes something, with and without consent and polkit
# machines: uml
# init: systemd
# clock: real
# timeout: 300
# needs: P2PUSB_DEB
. "${0%/*}/../lib/lab.sh"

# Every member that changes something, and the polkit action that it takes.
declare -A ACTIONS=(
    [Manager.CreateTicket]=manage-peers
    [Manager.AddPeer]=manage-peers
    [Manager.ProposePairing]=manage-peers
    [Manager.SetAcceptingPeers]=manage-peers
    [AgentManager.RegisterAgent]=register-agent
    [Manager.ShareDevice]=share-device
    [Manager.Reload]=configure
    [Share.Revoke]=share-device
    [Share.SetPeers]=share-device
    [Share.SetGrace]=share-device
    [Share.SetPaused]=share-device
    [Share.SetBandwidth]=share-device
    [Share.SetPin]=share-device
    [Share.ClearPin]=share-device
    [Peer.Forget]=manage-peers
    [Peer.SetLabel]=manage-peers
    [Peer.SetTrust]=manage-peers
    [Peer.SetBandwidth]=manage-peers
    [RemoteDevice.Attach]=attach-device
    [RemoteDevice.AttachWithGuard]=attach-device
    [Attachment.Detach]=attach-device
)
# Members that change nothing, or what the caller itself has said: everybody may call them.
READING=(Manager.Diagnose AgentManager.UnregisterAgent)
# An option that no method has: whoever passes the gate is told so, and nothing happens.
NO_OPTION=(1 no-such-option b true)
RULES=/etc/polkit-1/rules.d/10-lab.rules

# members OBJECT INTERFACE: its methods with their signatures and its writable properties, a line each, but for those that
# change nothing.
members() {
    busctl introspect "$BUS_NAME" "$1" "$BUS_NAME.$2" |
        awk -v interface="$2" -v reading=" ${READING[*]} " '
            index(reading, " " interface "." substr($1, 2) " ") { next }
            $2 == "method" { print substr($1, 2), $3 }
            $2 == "property" && /writable/ { print substr($1, 2), "=" $3 }'
}

# arguments SIGNATURE puts something for each argument into $arguments.
arguments() {
    arguments=()
    local rest=$1
    while [[ -n $rest && $rest != - ]]; do
        case $rest in
        'a{sv}'*) arguments+=("${NO_OPTION[@]}") rest=${rest:5} ;;
        a?*) arguments+=(0) rest=${rest:2} ;;
        o*) arguments+=(/org/p2pusb1/nothing) rest=${rest:1} ;;
        s*) arguments+=(nothing) rest=${rest:1} ;;
        u* | t*) arguments+=(20000) rest=${rest:1} ;;
        b*) arguments+=(true) rest=${rest:1} ;;
        *) fail "no argument for $rest in $1" ;;
        esac
    done
}

# outcome USER INTERACTIVE OBJECT MEMBER SIGNATURE: what a call as that user comes to.
outcome() {
    local user=$1 interactive=$2 object=$3 member=$4 signature=$5 said
    local as=(setpriv --reuid="$user" --regid=nogroup --clear-groups busctl --timeout=30
        --allow-interactive-authorization="$interactive")
    if [[ $signature == =* ]]; then
        local property=("$BUS_NAME" "$object" "$BUS_NAME.${member%.*}" "${member#*.}") value
        value=$(busctl get-property "${property[@]}")
        # shellcheck disable=SC2086 # the type and the value
        said=$("${as[@]}" set-property "${property[@]}" $value 2>&1) && said='Invalid arguments'
    elif [[ $signature == h* ]]; then
        # busctl hands on no file descriptors. What is read from this one is too short for a PIN.
        local verb=(p2pusb pin "${object##*/}" --pin-file -)
        if [[ $interactive == no ]]; then verb+=(--no-ask-password); fi
        said=$(printf 123 | setpriv --reuid="$user" --regid=nogroup --clear-groups "${verb[@]}" 2>&1) &&
            fail "$member did something for $user"
    else
        arguments "$signature"
        said=$("${as[@]}" call "$BUS_NAME" "$object" "$BUS_NAME.${member%.*}" "${member#*.}" "$signature" \
            "${arguments[@]}" 2>&1) && fail "$member did something for $user"
    fi
    case $said in
    *'no option'* | *'Invalid arguments'* | *'4 to 64 bytes'*) echo allowed ;;
    *'nteractive authentication required'* | *'call again with interactive authorization'*) echo asks ;;
    *'not authorized'* | *'only root may'* | *'Access denied'*) echo denied ;;
    *) echo "$said" ;;
    esac
}

# walk COLUMN USER INTERACTIVE EXPECTED: each member as that user; the outcome goes into the table.
walk() {
    local column=$1 user=$2 interactive=$3 expected=$4 interface member signature came
    for interface in "${!objects[@]}"; do
        while read -r member signature; do
            member=$interface.$member
            came=$(outcome "$user" "$interactive" "${objects[$interface]}" "$member" "$signature")
            table[$member]+=$'\t'$came
            expect_equal "$member, $column" "$expected" "$came"
        done < <(members "${objects[$interface]}" "$interface")
    done
    heads+=$'\t'$column
}

# polkit_says JAVASCRIPT: the condition under which nobody may.
polkit_says() {
    echo "polkit.addRule(function(action, subject) { if (subject.user == 'nobody' && $1) return polkit.Result.YES; });" \
        >"$RULES"
}

step 'the package, with one object of each kind'
host_machine A
package_install
gadget_disk disk 16M
gadget_disk other 16M
systemctl enable --now p2pusbd
mine=$BUS_ROOT/devices/$(device_path disk | tr -c 'A-Za-z0-9\n' _)
share=$(bus_call A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$mine" 0 | tr -d '"')
share=${share#o }
host_start C exporter
on C p2pusb share "$(device_path other)"
ticket=$(bus_call C "$BUS_ROOT" Manager CreateTicket 'a{sv}' 0 | tr -d '"')
bus_call A "$BUS_ROOT" Manager AddPeer 'sa{sv}' "${ticket#s }" 0
wait_for 10 'A is offered a disk' offered A C 'Lab other'
remote=$(remote_device A C 'Lab other')
attachment=$(bus_call A "$remote" RemoteDevice Attach 'a{sv}' 0 | tr -d '"')
declare -A objects=([Manager]=$BUS_ROOT [AgentManager]=$BUS_ROOT [Share]=$share [Peer]=$(peer_object A C) [RemoteDevice]=$remote
    [Attachment]=${attachment#o }) table=()
heads=member$'\t'action

step 'every member is in the table, and the table has no other'
for interface in "${!objects[@]}"; do
    while read -r member _; do
        expect "$interface.$member has an action here" test -n "${ACTIONS[$interface.$member]:-}"
        table[$interface.$member]=$interface.$member$'\t'${ACTIONS[$interface.$member]}
    done < <(members "${objects[$interface]}" "$interface")
done
expect_equal 'members' "${#ACTIONS[@]}" "${#table[@]}"

step 'root; and somebody else, without a rule, who may be asked or not, and cannot be'
walk root root no allowed
walk 'may not be asked' nobody no asks
walk 'no agent' nobody yes denied

step 'somebody who may'
polkit_says 'action.id.indexOf("org.p2pusb1.") == 0'
allowed() { [[ $(outcome nobody no "$BUS_ROOT" Manager.Reload 'a{sv}') == "$1" ]]; }
wait_for 20 'polkit follows the new rule' allowed allowed
walk 'consent' nobody no allowed

step "somebody who may share and attach, but not what others have"
polkit_says 'action.id != "org.p2pusb1.manage-others" && action.id != "org.p2pusb1.configure"'
wait_for 20 'polkit follows the new rule' allowed asks
for member in Share.Revoke Attachment.Detach; do
    expect_equal "$member of root's" asks "$(outcome nobody no "${objects[${member%.*}]}" "$member" 'a{sv}')"
done
bus_call A "$share" Share Revoke 'a{sv}' 0
as_nobody() {
    setpriv --reuid=nobody --regid=nogroup --clear-groups busctl call "$BUS_NAME" "$@"
}
own=$(as_nobody "$BUS_ROOT" "$BUS_NAME.Manager" ShareDevice 'oa{sv}' "$mine" 0 | tr -d '"')
as_nobody "${own#o }" "$BUS_NAME.Share" Revoke 'a{sv}' 0
objects[Share]=$(bus_call A "$BUS_ROOT" Manager ShareDevice 'oa{sv}' "$mine" 0 | tr -d '"')
objects[Share]=${objects[Share]#o }

step 'whoever may be asked may not agree'
# agent: somebody who says yes to everything, as nobody.
agent() {
    PYTHONPATH=$LAB_LIB PYTHONDONTWRITEBYTECODE=1 setpriv --reuid=nobody --regid=nogroup --clear-groups /usr/bin/python3 -c '
from bus import Agent, Daemon
from gi.repository import GLib
def yes(*question):
    print("asked", flush=True)
    return True
Agent(Daemon(), yes, yes)
print("ready", flush=True)
GLib.MainLoop().run()' >/run/agent 2>&1
}
said() { grep -q "$1" /run/agent; }
polkit_says 'action.id == "org.p2pusb1.register-agent"'
may_register() {
    [[ $(outcome nobody no "$BUS_ROOT" AgentManager.RegisterAgent 'osa{sv}') == allowed ]] &&
        [[ $(outcome nobody no "$BUS_ROOT" Manager.Reload 'a{sv}') == asks ]]
}
wait_for 20 'polkit follows the new rule' may_register
agent &
wait_for 20 'nobody has an agent' said ready
bus_call A "$BUS_ROOT" Manager SetAcceptingPeers 'ba{sv}' true 0
expect_failure 6 'nobody there has agreed' on C p2pusb pair --with host-a <<<y
expect 'that user was asked' said asked
polkit_says 'action.id == "org.p2pusb1.manage-peers"'
agrees() {
    bus_call A "$BUS_ROOT" Manager SetAcceptingPeers 'ba{sv}' true 0
    on C p2pusb pair --with host-a <<<y
}
wait_for 20 'somebody who may agrees' agrees
kill "$(pgrep -f 'from bus import Agent')"

step 'force is an action of its own'
polkit_says 'action.id != "org.p2pusb1.share-device-sensitive"'
wait_for 20 'polkit follows the new rule' allowed allowed
expect_failure 1 'interactive auth' setpriv --reuid=nobody --regid=nogroup --clear-groups \
    busctl --allow-interactive-authorization=no call "$BUS_NAME" "$BUS_ROOT" "$BUS_NAME.Manager" \
    ShareDevice 'oa{sv}' "$mine" 1 force b true

step 'without polkit'
systemctl mask --runtime --now polkit
walk 'root, no polkit' root no allowed
walk 'no polkit' nobody yes denied
for member in "${READING[@]}"; do
    signature=$(busctl introspect "$BUS_NAME" "${objects[${member%.*}]}" "$BUS_NAME.${member%.*}" |
        awk -v name=".${member#*.}" '$1 == name { print $3 }')
    expect_equal "$member, which is free" allowed \
        "$(outcome nobody no "${objects[${member%.*}]}" "$member" "$signature")"
done

step 'what came of it'
{
    echo "$heads"
    printf '%s\n' "${table[@]}" | sort
} | column -t -s $'\t'
