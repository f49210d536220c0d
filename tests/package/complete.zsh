# What zsh would offer for the line of words "$@", one a line: the functions that offer say it.
_describe() { print -rl -- "${(@)${(@P)2}%%:*}" }
compadd() { shift 3; print -rl -- "$@" }
_files() { print -r -- "files $*" }
compset() { return 0 }

words=("$@")
CURRENT=$#words
source $SRC/packaging/completion/_postern
