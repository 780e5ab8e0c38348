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

number=100
for ((time = 1; time <= count; time++)); do
    for host in "${hosts[@]}"; do
        number=$((number + 1))
        step "$host moves to 10.77.0.$number"
        net_readdress "$host" "$number"
        changed=$EPOCHREALTIME
        load_mark
        sleep 12 # of which ten are iroh's, for the dark connection; looking all the time would take minutes
        wait_for "$limit" 'all three devices work' load_went_on
        echo "   each has ended the round that was interrupted and another one after $(seconds_since "$changed") s"
        load_goes_on
    done
done

step 'all that was under way comes to its end'
load_stop

step 'nobody noticed'
three_devices_are_well
