# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_repy_launch_global_optspecs
    string join \n policy= vessel= scratch interp= report= events= journald= metrics= profile= without= wall= logfile= stop= status= cwd= ip= iface= nootherips max-accepted= simple execinfo servicelog norestrictions ask name= timings plan q/quiet v/verbose h/help V/version
end

function __fish_repy_launch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_repy_launch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_repy_launch_using_subcommand
    set -l cmd (__fish_repy_launch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c repy-launch -n "__fish_repy_launch_needs_command" -l policy -d 'The restrictions file' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l vessel -d 'The program\'s only directory [default: the current directory]' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l interp -d 'Run this static binary in the interpreter\'s place [default: repy-interp beside repy-launch]' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l report -d 'Write what happened to FILE as JSON' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l events -d 'Append what happens to FILE, one line of JSON for each event' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l journald -d 'Send the same events to the system journal (or to another SOCKET that speaks its protocol)' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l metrics -d 'Keep limits, use, denials and outcome in FILE as OpenMetrics text, for a collector of text files' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l profile -d 'Write where the program\'s time went to FILE, as folded stacks for a flame graph' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l without -d 'Give up a layer of the sandbox by name (may be repeated)' -r -f -a "cgroup\t''
userns\t''
mountns\t''
netns\t''
landlock\t''
seccomp\t''
mdwe\t''
idmap\t''"
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l wall -d 'Stop the program after so many seconds (exit 7)' -r
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l logfile -d 'Keep the program\'s output in a circular log, NAME.old and NAME.new' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l stop -d 'Stop when this file appears; it may hold CODE;MESSAGE' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l status -d 'Keep a status file, PREFIX-STATUS-TIME' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l cwd -d 'Change directory first: other paths are then relative to it' -r -F
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l ip -d 'An address the program may bind (may be repeated)' -r
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l iface -d 'An interface whose addresses the program may bind (may be repeated)' -r
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l max-accepted -d 'Accepted connections open at once before listeners pause' -r
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l name -d 'A name for the run, for its report and for ps, stop, audit and top' -r
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l scratch -d 'Run in a copy of the directory in memory, which is full exactly at diskused; nothing of it remains'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l nootherips -d 'Forbid every address not named with --ip or --iface'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l simple -d 'Run the text once as a plain script, without events'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l execinfo -d 'Print a header before running'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l servicelog -d 'Send internal errors to the system log too'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l norestrictions -d 'Do not check call rules; limits and sandbox hold'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l ask -d 'Ask on the terminal what `prompt` rules ask (otherwise they deny)'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l timings -d 'Print how long each step took'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -l plan -d 'Print the kernel controls of this run in order, and run nothing'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -s q -l quiet -d 'No warnings'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -s v -l verbose -d 'Warnings of the policy, and a summary at the end'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -s V -l version -d 'Print version'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "check" -d 'Check a restrictions file, and programs against it, without running anything'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "explain" -d 'Say what holds each line of a policy here, what it makes of a program, or answer a question'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "learn" -d 'Run a program with wide limits and print the smallest restrictions file that this run needed'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "repl" -d 'Type Repy statements and see what they do, in a sandbox'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "doctor" -d 'Say what this host offers, and the remedy for each gap: exit 0, or 4 if a layer is missing'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "ps" -d 'List the live runs: yours, or as root everybody\'s'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "stop" -d 'Stop a run, as SIGTERM to its launcher does (its exit status is then 143): exit 0, or 2 if there is no such run'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "audit" -d 'Compare what the kernel holds of live runs with their plans: exit 0 if all is as planned, 1 if something differs, 3 if something cannot be seen'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "top" -d 'Show a live table of the runs of this host (keys: up, down, enter, s, c, m, d, x, u, n, q)'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "completions" -d 'Print completions for a shell'
complete -c repy-launch -n "__fish_repy_launch_needs_command" -a "manual" -d 'Print a manual page'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand check" -l json -d 'As JSON'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand check" -s q -l quiet -d 'Only what is wrong, no warnings'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand check" -s v -l verbose -d 'Say what was looked at too'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand explain" -l vessel -d 'The vessel of the run that is explained' -r -F
complete -c repy-launch -n "__fish_repy_launch_using_subcommand explain" -l without -d 'As if this layer were given up (may be repeated)' -r -f -a "cgroup\t''
userns\t''
mountns\t''
netns\t''
landlock\t''
seccomp\t''
mdwe\t''
idmap\t''"
complete -c repy-launch -n "__fish_repy_launch_using_subcommand explain" -l scratch -d 'As a run with --scratch'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand explain" -l json -d 'As JSON'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand explain" -s q -l quiet -d 'The verdict on a question alone; of a table, one line for each holder'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand explain" -s v -l verbose -d 'What each control does, besides its value'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -s o -l output -d 'Write the restrictions to FILE; the program\'s output is not touched then' -r -F
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -l vessel -d 'The program\'s only directory' -r -F
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -l messport -d 'Grant this UDP port besides those in program and arguments (may be repeated)' -r
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -l connport -d 'Grant this TCP port besides those in program and arguments (may be repeated)' -r
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -l ip -d 'An address the program may bind (may be repeated)' -r
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -l wall -d 'Stop the program after so many seconds' -r
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -l without -d 'Give up a layer of the sandbox by name (may be repeated)' -r -f -a "cgroup\t''
userns\t''
mountns\t''
netns\t''
landlock\t''
seccomp\t''
mdwe\t''
idmap\t''"
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -s q -l quiet -d 'No notes'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -s v -l verbose -d 'A summary of the run'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand learn" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand repl" -l policy -d 'The restrictions file [default: the sample restrictions.test]' -r -F
complete -c repy-launch -n "__fish_repy_launch_using_subcommand repl" -l vessel -d 'The session\'s only directory [default: an empty one, removed afterwards]' -r -F
complete -c repy-launch -n "__fish_repy_launch_using_subcommand repl" -l without -d 'Give up a layer of the sandbox by name (may be repeated)' -r -f -a "cgroup\t''
userns\t''
mountns\t''
netns\t''
landlock\t''
seccomp\t''
mdwe\t''
idmap\t''"
complete -c repy-launch -n "__fish_repy_launch_using_subcommand repl" -s q -l quiet -d 'No greeting'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand repl" -s v -l verbose -d 'Warnings of the policy, and a summary at the end'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand repl" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand doctor" -l vessel -d 'The vessel of later runs [default: the current directory, or an empty one where that can be none]' -r -F
complete -c repy-launch -n "__fish_repy_launch_using_subcommand doctor" -l json -d 'As JSON'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand doctor" -l sweep -d 'Only remove control groups left by launchers that were killed'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand doctor" -s q -l quiet -d 'Only what is missing'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand doctor" -s v -l verbose -d 'What each layer needs, too'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand ps" -l json -d 'As JSON, one array'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand ps" -s q -l quiet -d 'Only the process ids of the launchers'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand ps" -s v -l verbose -d 'Policies and vessels too'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand ps" -s h -l help -d 'Print help'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand stop" -s q -l quiet -d 'Say nothing of a run that was stopped'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand stop" -s v -l verbose -d 'Say what was stopped in full'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand stop" -s h -l help -d 'Print help'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand audit" -l all -d 'Every live run that you may see'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand audit" -l json -d 'As JSON, one array'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand audit" -s q -l quiet -d 'Only what differs or cannot be seen, and the sum'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand audit" -s v -l verbose -d 'What was found in every row, too'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand audit" -s h -l help -d 'Print help'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand top" -l sort -d 'The order at the start' -r -f -a "cpu\t'Processor use, the most first'
memory\t'Memory, the most first'
disk\t'Disk space, the most first'
denials\t'Refusals, the most first'
uptime\t'Age, the oldest first'
name\t'Name'"
complete -c repy-launch -n "__fish_repy_launch_using_subcommand top" -l once -d 'Print the table once, after looking for a second'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand top" -l json -d 'As JSON, one array, once'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand top" -l color -d 'Use colours even if the output is no terminal'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand completions" -s h -l help -d 'Print help'
complete -c repy-launch -n "__fish_repy_launch_using_subcommand manual" -s h -l help -d 'Print help (see more with \'--help\')'
