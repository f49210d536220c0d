# What bash would offer for the line "$*", one a line.
. "$SRC/packaging/completion/postern"
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
_postern
printf '%s\n' "${COMPREPLY[@]}"
