#compdef ddpipe
# Completion of ddpipe in zsh.
_ddpipe() {
    # The words without their quotes; of the last one only what stands before the cursor counts.
    local -a typed=("${(@Q)words}")
    typed[CURRENT]=${(Q)PREFIX}
    local -a offered=("${(@f)$(
        _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1)) DDPIPE_COMPLETE=zsh \
            command ddpipe -- "${(@)typed[1,CURRENT]}" 2>/dev/null
    )}")
    # A value is followed by a space, what goes on is not.
    local -a done=() goes_on=()
    local word value
    for word in $offered; do
        value=${${word//\\:/-}%%:*}
        if [[ $value == *[=/] ]]; then goes_on+=($word); else done+=($word); fi
    done
    local found=1
    (( $#goes_on )) && _describe -V values goes_on -S '' && found=0
    (( $#done )) && _describe -V values done && found=0
    return $found
}
compdef _ddpipe ddpipe
