# SPDX-License-Identifier: MIT
# complete.zsh DIRECTORY LINE: what zsh offers when tab is pressed behind that
# line, one a line, with the completions in the directory. An interactive zsh
# in a pseudo-terminal is asked; its compadd also writes what it would add.
zmodload zsh/zpty || exit 77

zpty shell zsh -f -i
zpty -w shell "PS1= PS2= RPS1= && unsetopt zle_bracketed_paste 2>/dev/null
fpath=($1 \$fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' completer _complete
compadd() {
	if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then
		builtin compadd \"\$@\"
		return
	fi
	local -a _hits
	builtin compadd -A _hits \"\$@\"
	(( ! \$#_hits )) || print -l -- \$_hits >>\$MP_FOUND
	builtin compadd \"\$@\"
}
offer() { zle list-choices; print >>\$MP_FOUND.end; zle kill-whole-line }
zle -N offer
bindkey '^T' offer
print ready >\$MP_FOUND.ready"
local i
for ((i = 0; i < 1500; i++)); do
	[[ -s $MP_FOUND.ready ]] && break
	zpty -rt shell >/dev/null
	sleep 0.02
done
zpty -wn shell "$2"$'\C-t'
for ((i = 0; i < 1500; i++)); do
	[[ -s $MP_FOUND.end ]] && break
	zpty -rt shell >/dev/null
	sleep 0.02
done
zpty -d shell
[[ -s $MP_FOUND.end ]] || exit 1
cat $MP_FOUND 2>/dev/null
exit 0
