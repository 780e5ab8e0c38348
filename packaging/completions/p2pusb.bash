# bash completion of p2pusb: the program answers itself, with the names of what there is now.
source <(COMPLETE=bash /usr/bin/p2pusb)
