#!/bin/sh
# manpage.sh - print the man page: patchsweep.1.in with each command's --help inserted.
#
#   scripts/manpage.sh ./patchsweep < src/cli/patchsweep.1.in > patchsweep.1
set -eu
program=$1

command_help() { # a subsection for each command, with its --help as printed
    for command in run show plot tokenize inspect bench; do
        printf '.SS %s\n.nf\n' "$command"
        "$program" "$command" --help | sed 's/\\/\\e/g; s/-/\\-/g; s/^\./\\\&./; s/^'\''/\\\&'\''/'
        printf '.fi\n'
    done
}

while IFS= read -r line; do
    if [ "$line" = @COMMANDS@ ]; then
        echo '.SH COMMANDS'
        command_help
    else
        printf '%s\n' "$line"
    fi
done
