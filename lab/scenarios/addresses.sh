#!/bin/bash
# title: machines get other addresses while one uses the other's devices, and nobody notices
# machines: uml
# clock: virtual
# timeout: 300
. "${0%/*}/../lib/lab.sh"

# Whose address changes, one after the other. LAB_COUNT repeats it.
hosts=(A B)
count=${LAB_COUNT:-1}
# Seconds within which every device must have worked again, for two rounds.
limit=30

step 'two machines 20 ms apart; B uses a disk, a keyboard and a serial adapter of A'
three_devices_of_a
# Where there is no default route, iroh waits five seconds for one before it looks for other paths.
net_gateway A
net_gateway B
load_start disk keyboard serial

# sessions_went_on: how often A's sessions have gone on over another connection.
sessions_went_on() {
    daemon_log A | grep -c 'the session goes on' || true
}

number=100
for ((time = 1; time <= count; time++)); do
    for host in "${hosts[@]}"; do
        number=$((number + 1))
        step "$host moves to 10.77.0.$number"
        net_readdress "$host" "$number"
        changed=$EPOCHREALTIME
        load_mark
        went_on=$(sessions_went_on)
        # As long as a dark path may stay unnoticed; looking all the time would take minutes.
        sleep 3
        expect 'all three sessions go on' test "$(sessions_went_on)" -ge $((went_on + 3))
        wait_for "$limit" 'all three devices work' load_went_on
        echo "   each has ended the round that was interrupted and another one after $(seconds_since "$changed") s"
        load_goes_on
    done
done

step 'all that was under way comes to its end'
load_stop

step 'nobody noticed'
three_devices_are_well
