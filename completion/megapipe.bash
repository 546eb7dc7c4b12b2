# SPDX-License-Identifier: MIT
# Completion of megapipe(1) for bash. `make lint` compares the options with
# --help. bash-completion helps with the arguments of the program that is run,
# and is not needed for the rest.
# shellcheck shell=bash disable=SC2207 # words are without blanks

# The first word behind the command that is no option, and no option's value:
# its index, for `run`.
_megapipe_program()
{
	local i

	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--) echo $((i + 1)); return ;;
		-c | -e | -l) i=$((i + 1)) ;;
		--config | --env | --library)
			i=$((i + 1))
			[[ ${COMP_WORDS[i]} != = ]] || i=$((i + 1))
			# NAME=VALUE is three words.
			[[ ${COMP_WORDS[i + 1]} != = ]] || i=$((i + 2)) ;;
		-*) ;;
		*) echo "$i"; return ;;
		esac
		[[ ${COMP_WORDS[i + 1]} != = ]] || i=$((i + 2))
	done
	echo "$COMP_CWORD"
}

# Names and numbers of the processes that run with the library.
_megapipe_processes()
{
	"${COMP_WORDS[0]}" stat 2>/dev/null |
		sed -n 's/^\([^ ]*\) (pid \([0-9]*\)).*/\1 \2/p'
}

_megapipe_files()
{
	compopt -o filenames 2>/dev/null
	COMPREPLY=($(compgen -f -- "$1"))
}

_megapipe_run()
{
	local cur=$1 prev=$2 at

	at=$(_megapipe_program)
	if ((at < COMP_CWORD)); then
		if declare -F _command_offset >/dev/null; then
			_command_offset "$at"
		else
			_megapipe_files "$cur"
		fi
		return
	fi
	case $prev in
	-c | --config | -l | --library) _megapipe_files "$cur" ;;
	-e | --env)
		compopt -o nospace 2>/dev/null
		COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" env 2>/dev/null |
			sed -n 's/^\(MEGAPIPE[A-Z_]*\).*/\1=/p')" -- "$cur")) ;;
	*)
		case $cur in
		-*) COMPREPLY=($(compgen -W '-c --config= -e --env= -l
			--library= -q --quiet -v --verbose
			-h --help' -- "$cur")) ;;
		*) COMPREPLY=($(compgen -c -- "$cur")) ;;
		esac ;;
	esac
}

_megapipe_stat()
{
	local cur=$1

	case $2 in
	-i | --interval | -n | --count) return ;;
	esac
	case $cur in
	-*) COMPREPLY=($(compgen -W '-w --watch -i --interval= -n --count= -j
		--json -p --prometheus -h --help' -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W "$(_megapipe_processes)" -- "$cur")) ;;
	esac
}

_megapipe_sockets()
{
	local cur=$1 words='and depth dport dst fd not sport src state'

	case $2 in
	state) words='all connected established listening synchronized estab
		syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait unconn
		close-wait last-ack listen closing' ;;
	depth) words='lw materialised fd given kernel' ;;
	dport | dst | fd | sport | src) return ;;
	*)
		case $cur in
		-*) words='-H --no-header -j --json -h --help' ;;
		*) words+=" $(_megapipe_processes)" ;;
		esac ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

_megapipe_doctor()
{
	COMPREPLY=($(compgen -W '-j --json -h --help' -- "$1"))
}

_megapipe_env()
{
	_megapipe_doctor "$1"
}

_megapipe()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	# --config=FILE is three words here.
	[[ $cur != = ]] || cur=
	[[ $prev != = ]] || prev=${COMP_WORDS[COMP_CWORD - 2]}
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W 'run doctor stat sockets env help -h
			--help -V --version' -- "$cur"))
		return
	fi
	case ${COMP_WORDS[1]} in
	run | doctor | stat | sockets | env)
		"_megapipe_${COMP_WORDS[1]}" "$cur" "$prev" ;;
	help) COMPREPLY=($(compgen -W 'run doctor stat sockets env' -- "$cur")) ;;
	esac
	# What is completed with = is not finished by a blank.
	[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
}

complete -F _megapipe megapipe
